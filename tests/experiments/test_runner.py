"""The shared command line, and running or resuming a list of runs."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import pytest

from cnn3 import (
    PROTOCOLS,
    ConfigError,
    DataError,
    ModelConfig,
    OptimizerConfig,
    OutputError,
    RunConfig,
    WeightsError,
)
from cnn3.cli import UsageError
from cnn3.config import SEED
from cnn3.runs import record
from experiments.support import runner as common
from experiments.support.options import Options, command, parse
from experiments.support.publish import Report, other_versions, summarise
from experiments.support.run_name import run_name
from experiments.support.runner import run_all
from experiments.support.tables import Row, mean, results_table, runs_table
from tests.helpers.processes import python
from tests.helpers.users import as_root, nobody

ROOT = Path(__file__).parents[2]
TINY = ModelConfig(channels=(2, 2, 2), hidden=(128,))
DIVERGES = 1e30  # learning rate


def options(output: Path, **changes) -> Options:
    return replace(Options(dataset="digits", output=output, epochs=2, limit=128), **changes)


def configs(options: Options) -> dict[str, RunConfig]:
    rates = {"diverges": DIVERGES, "learns": 0.01}
    sgd = {name: OptimizerConfig("sgd", rate, weight_decay=0.0) for name, rate in rates.items()}
    return {name: options.config(model=TINY, optimizer=optimizer, batch_size=64) for name, optimizer in sgd.items()}


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def runs(output):
    given = options(output, seeds=2)
    jax.config.update("jax_disable_most_optimizations", True)  # compiling takes longest here
    try:
        return run_all(given, "trial", configs(given))
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


def test_each_configuration_is_run_with_each_seed(runs, output):
    given = options(output, seeds=2)
    for name, config in configs(given).items():
        expected = [replace(config, seed=seed) for seed in (3136, 3137)]
        assert [run.config for run in runs[name]] == expected
        for run in runs[name]:
            assert run.folder == output / "digits" / "runs" / run_name(run.config)
            assert RunConfig.from_json((run.folder / "config.json").read_text()) == run.config
            assert json.loads((run.folder / "summary.json").read_text()) == run.summary
            assert len(run.history) == run.summary["epochs"]
    first, second = (run.history[0]["train"]["loss"] for run in runs["learns"])
    assert first != second


def test_what_is_done_is_only_read(runs, output, monkeypatch):
    monkeypatch.setattr(common, "fit", None)
    monkeypatch.setattr(common, "load", None)
    given = options(output, seeds=2)
    assert run_all(given, "trial", configs(given)) == runs
    one = run_all(options(output), "other", configs(given))
    assert one == {name: of[:1] for name, of in runs.items()}


def test_runs_that_other_versions_made_are_used_and_told_of(runs, output, monkeypatch, capsys):
    monkeypatch.setattr(common, "fit", None)
    monkeypatch.setattr(record, "version", lambda name: "9.9" if name == "jaxlib" else version(name))
    given = options(output, seeds=2)
    assert run_all(given, "trial", configs(given)) == runs
    others = f"jaxlib {version('jaxlib')}, not 9.9"
    said = f"4 of 4 runs are done\n4 of 4 runs were made with {others}; they are used as they are\n"
    assert capsys.readouterr().out == said
    rows = [Row(name, of, None) for name, of in runs.items()]
    assert other_versions(Report("trial", "Trial", rows, [], {}, {})) == [f"4 of 4 runs were made with {others}."]


def test_runs_of_other_code_are_trained_again_or_taken_as_they_are_and_told_of(
    runs, output, tmp_path, monkeypatch, capsys
):
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    learns = {"learns": configs(options(tmp_path))["learns"]}
    folder = tmp_path / "digits" / "runs" / run_name(learns["learns"])
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
    made, here = json.loads(before["versions.json"])["code"], "0" * 16
    monkeypatch.setattr(record, "code_fingerprint", lambda: here)
    code = f"cnn3 {version('cnn3')} (code {made}), not {version('cnn3')} (code {here})"

    taken = run_all(options(tmp_path, reuse="any-version"), "trial", learns)
    assert taken["learns"][0].history == runs["learns"][0].history
    assert f"1 of 1 runs were made with {code}; they are used as they are\n" in capsys.readouterr().out
    report = Report("trial", "Trial", [Row("learns", taken["learns"], None)], [], {}, {})
    assert other_versions(report) == [f"1 of 1 runs were made with {code}."]

    again = run_all(options(tmp_path), "trial", learns)
    assert f"{folder.name} was made with {code}: it is trained again; --reuse any-version" in capsys.readouterr().out
    assert again["learns"][0].record["code"] == here
    kept = folder.with_name(f"{folder.name}.cnn3-{version('cnn3')}-{made[:8]}")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_runs_of_other_data_are_refused(runs, output, monkeypatch):
    monkeypatch.setattr(common, "identify", lambda *args, **rest: "another")
    with pytest.raises(OutputError, match=r"on other images \(data [0-9a-f]{16}, not another\)"):
        run_all(options(output), "trial", configs(options(output)))


@as_root
def test_runs_of_others_that_may_only_be_read_are_tabulated_elsewhere(runs, output, monkeypatch):
    monkeypatch.setattr(common, "fit", None)
    with TemporaryDirectory() as scratch:  # pytest's own folders are its user's
        theirs = Path(shutil.copytree(output / "digits" / "runs", Path(scratch) / "theirs"))
        mine = Path(scratch) / "mine"
        for folder, mode in ((scratch, 0o755), (theirs, 0o555)):
            os.chmod(folder, mode)
        mine.mkdir()
        mine.chmod(0o777)
        before = {path: path.stat().st_mtime_ns for path in theirs.rglob("*")}
        given = options(mine, seeds=2, runs=theirs)
        with nobody():
            read = run_all(given, "trial", configs(given))
            with pytest.raises(OutputError, match=f"cannot write to {theirs}: Permission denied; .* --runs"):
                run_all(replace(given, seeds=3), "trial", configs(given))
        assert [[run.summary for run in of] for of in read.values()] == [
            [run.summary for run in of] for of in runs.values()
        ]
        assert {path: path.stat().st_mtime_ns for path in theirs.rglob("*")} == before
        assert [path.relative_to(mine) for path in mine.rglob("*")] == [Path("digits"), Path("digits/trial")]


def test_another_seed_trains_only_itself_on_its_own_split(runs, output, monkeypatch):
    trained, loaded, fit, load = [], [], common.fit, common.load
    monkeypatch.setattr(
        common, "fit", lambda config, *args, **rest: trained.append(config) or fit(config, *args, **rest)
    )
    monkeypatch.setattr(
        common, "load", lambda *args, seed, **rest: loaded.append(seed) or load(*args, seed=seed, **rest)
    )
    given = options(output, seeds=3)
    wanted = {"learns": configs(given)["learns"]}
    found = run_all(given, "trial", wanted)
    assert found["learns"][:2] == runs["learns"]
    assert trained == [replace(wanted["learns"], seed=3138)]
    assert loaded == [3138]


def test_a_diverged_run_is_told_of_and_the_others_go_on(runs, output):
    assert [run.summary["stopped"] for run in runs["diverges"]] == ["diverged"] * 2
    assert [run.summary["stopped"] for run in runs["learns"]] == ["epochs"] * 2
    rows = [Row(name, of, None) for name, of in runs.items()]
    ends = {(line[0], line[1]): line[2] for line in runs_table(rows, "row").rows}
    assert ends["diverges", "3136"] == "diverged at epoch 1, training step 2"  # the first step is of finite loss
    assert ends["learns", "3136"] == "all epochs done"
    table = {(line[0], line[1]): line[2:] for line in results_table(rows, "row").rows}
    assert table["diverges", "train"] == ["-", "-"]
    losses = [run.summary["train"]["loss"] for run in runs["learns"]]
    spread = abs(losses[0] - losses[1]) / 2**0.5
    assert table["learns", "train"][1] == f"{sum(losses) / 2:.4f} ± {spread:.4f}"
    summary = summarise(options(output, seeds=2), Report("trial", "Trial", rows, [], {}, {}))
    assert summary["rows"][0]["mean"]["seeds"] == 0
    assert summary["rows"][0]["mean"]["test"] == {"loss": None, "accuracy": None}
    assert summary["rows"][0]["seeds"][0]["test"] is None
    json.dumps(summary, allow_nan=False)


def test_means_are_of_the_seeds_that_have_numbers_and_say_so(runs):
    mixed = Row("mixed", [*runs["learns"], runs["diverges"][0]], None)
    assert mean(mixed.runs) == mean(runs["learns"])
    assert results_table([mixed], "row").rows[0][2].endswith("(2 of 3)")


def test_what_is_damaged_is_trained_anew_and_alone(runs, output, tmp_path, monkeypatch, caplog):
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    given = options(tmp_path)
    damaged = configs(given)["learns"]
    folder = tmp_path / "digits" / "runs" / run_name(damaged)
    (folder / "best.safetensors").write_bytes(b"")
    kept = tmp_path / "digits" / "runs" / run_name(configs(given)["diverges"])
    before = {path: path.read_bytes() for path in kept.iterdir()}
    trained, fit = [], common.fit
    monkeypatch.setattr(
        common, "fit", lambda config, *args, **rest: trained.append(config) or fit(config, *args, **rest)
    )
    found = run_all(given, "trial", configs(given))
    assert trained == [damaged]
    assert {path: path.read_bytes() for path in kept.iterdir()} == before
    assert found["learns"][0].summary["test"] == runs["learns"][0].summary["test"]
    assert (folder / "best.safetensors").read_bytes() == (runs["learns"][0].folder / "best.safetensors").read_bytes()
    said = "best.safetensors is damaged: its checksum is not that in SHA256SUMS; this run alone is trained anew"
    assert [record.getMessage() for record in caplog.records] == [f"{folder}: {said}"]


def test_all_configurations_are_checked_before_the_first_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(common, "fit", None)
    given = options(tmp_path, limit=129)
    batch_norm = given.config(model=replace(TINY, batch_norm=True), batch_size=64)
    with pytest.raises(ConfigError, match=r"second: .*one image.*--limit"):
        run_all(given, "trial", {"first": given.config(model=TINY), "second": batch_norm})
    with pytest.raises(UsageError, match=r"limit must be at least 256, a batch of big, not 129"):
        run_all(given, "trial", {"first": given.config(), "big": given.config(batch_size=256)})
    assert list((tmp_path / "digits" / "runs").iterdir()) == []


@pytest.mark.parametrize("folder", ["digits/runs", "digits/trial"])
def test_an_output_folder_that_cannot_be_written_is_found_before_training(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(common, "fit", None)
    (tmp_path / "digits").mkdir()
    (tmp_path / folder).write_text("a file")
    with pytest.raises(OutputError, match="--output"):
        run_all(options(tmp_path), "trial", configs(options(tmp_path)))


def test_folders_tell_runs_apart_in_words_and_by_digest():
    default = RunConfig()
    assert run_name(default) == f"baseline-adam-lr0.001-batch128-corrected-seed3136-{default.digest()}"
    other = replace(
        default,
        model=replace(TINY, batch_norm=True),
        optimizer=OptimizerConfig("sgd", 1e-4),
        protocol=replace(default.protocol, pad_accuracy=True),
    )
    assert run_name(other) == f"batch_norm_2x2x2_128_max-sgd-lr0.0001-batch128-mixed-seed3136-{other.digest()}"
    assert run_name(default) != run_name(replace(default, epochs=149))


def test_the_command_line_becomes_options_and_options_the_default_run():
    assert parse(Options, "trial", "", []) == Options()
    text = "--dataset digits --data-dir a/b --output c --runs d --epochs 3 --seeds 2 --protocol published --limit 200"
    given = parse(Options, "trial", "", [*text.split(), "--precision", "bf16"])
    assert asdict(given) == {
        "dataset": "digits",
        "data_dir": Path("a/b"),
        "output": Path("c"),
        "runs": Path("d"),
        "epochs": 3,
        "seeds": 2,
        "protocol": "published",
        "precision": "bf16",
        "limit": 200,
        "reuse": "same-code",
        "only_finished": False,
        "jobs": 1,
    }
    assert [parse(Options, "trial", "", ["--jobs", count]).jobs for count in ("3", "auto")] == [3, "auto"]
    assert given.config() == RunConfig(
        protocol=PROTOCOLS["published"], dataset="digits", limit=200, epochs=3, precision="bf16"
    )
    assert given.config().seed == SEED
    assert given.describe() == (
        "Data set digits, the first 200 training images; at most 3 epochs; 2 seeds (3136 to 3137); protocol published, "
        "in bfloat16."
    )
    assert Options().describe() == (
        "Data set cifar10, all training images; at most 150 epochs; 1 seed (3136); protocol corrected."
    )


def test_help_explains_every_option_and_both_protocols(capsys):
    with pytest.raises(SystemExit) as end:
        parse(Options, "trial", "What the trial does.", ["--help"])
    assert not end.value.code
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "python -m experiments.trial" in text
    assert "What the trial does." in text
    for option in ("dataset", "data-dir", "output", "runs", "epochs", "seeds", "protocol", "limit"):
        assert f"--{option} " in text
    assert "corrected does what the study's text says; published repeats the defects of its program" in text
    assert "(default: TFDS_DATA_DIR, else ~/tensorflow_datasets)" in text


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])  # tyro frames its messages in either
@pytest.mark.parametrize("columns", ["40", "80", "200"])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--epochs", "abc"], "--epochs: 'abc' is not an integer"),
        (["--epoch", "3"], "Unrecognized options: --epoch, 3"),
        (["--limit"], "Missing value for argument '--limit'. Expected 1 values"),
        (
            ["--dataset", "mnist"],
            "invalid choice 'mnist' for argument '--dataset'. Expected one of ('cifar10', 'digits')",
        ),
    ],
)
def test_a_command_line_that_cannot_be_understood(given, said, columns, encoding, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    with pytest.raises(UsageError) as error:
        parse(Options, "trial", "", given)
    assert str(error.value) == f"{said}; see python -m experiments.trial --help"


@pytest.mark.parametrize("kind", [ConfigError, DataError, OutputError, WeightsError, UsageError])
def test_an_error_is_one_line_and_status_2(kind, capsys):
    def fail(given: Options) -> list[Path]:
        raise kind(f"{given.epochs} of\n  these")

    assert command(Options, fail, "trial", "", ["--epochs", "7"]) == 2
    said = capsys.readouterr()
    assert said.err == "error: 7 of these\n"
    assert said.out == ""


def test_a_defect_of_the_program_is_not_hidden():
    def fail(given: Options) -> list[Path]:
        raise KeyError(given)

    with pytest.raises(KeyError):
        command(Options, fail, "trial", "", [])


def test_paths_are_printed_and_signals_are_left_as_they_were(capsys):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert command(Options, lambda given: [given.output / "a", Path("b")], "trial", "", ["--output", "c"]) == 0
    assert capsys.readouterr().out == "wrote c/a\nwrote b\n"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


def test_a_command_in_a_thread_leaves_signals_alone(capsys):
    with ThreadPoolExecutor(1) as thread:
        assert (
            thread.submit(command, Options, lambda given: [given.output], "trial", "", ["--output", "c"]).result() == 0
        )
    assert capsys.readouterr().out == "wrote c\n"


def test_a_message_goes_without_the_name_of_its_logger():
    script = (
        "import logging\n"
        "from experiments.support.options import Options, command\n"
        "command(Options, lambda given: logging.getLogger('cnn3.runs.fit').warning('damaged') or [], 'trial', '', [])\n"
    )
    done = python("-c", script)
    assert (done.returncode, done.stderr) == (0, "damaged\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_process_at_once_though_the_main_thread_is_busy(number, status):
    # a compiled epoch keeps the interpreter from running signal handlers, as a sleep that is taken up again does
    script = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored, where tests run in the background
        "from experiments.support.options import Options, command\n"
        "command(Options, lambda given: print('busy', flush=True) or time.sleep(600), 'trial', '', [])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        os.kill(process.pid, number)
        _, said = process.communicate()
    assert process.returncode == status
    assert said.strip() == "interrupted; the same command goes on where it stopped"
