"""Running, resuming or reading a list of runs."""

import json
import os
import shutil
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import jax
import pytest

from cnn3 import (
    ConfigError,
    ModelConfig,
    OptimizerConfig,
    OutputError,
    RunConfig,
)
from cnn3.cli import UsageError
from cnn3.runs import versions
from cnn3.runs.run_name import run_name
from experiments.support import runner
from experiments.support.options import Options
from experiments.support.publish import describe_mismatches, summarise
from experiments.support.report import Report
from experiments.support.runner import run_all
from experiments.support.tables import Row, mean, results_table, runs_table
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
            assert json.loads((run.folder / "summary.json").read_text()) == run.summary.to_dict()
            assert len(run.history) == run.summary.epochs
    first, second = (run.history[0]["train"]["loss"] for run in runs["learns"])
    assert first != second


def test_what_is_done_is_only_read(runs, output, monkeypatch):
    monkeypatch.setattr(runner, "fit", None)
    monkeypatch.setattr(runner, "load", None)
    given = options(output, seeds=2)
    assert run_all(given, "trial", configs(given)) == runs
    one = run_all(options(output), "other", configs(given))
    assert one == {name: of[:1] for name, of in runs.items()}


def test_runs_that_other_versions_made_are_used_and_told_of(runs, output, monkeypatch, capsys):
    monkeypatch.setattr(runner, "fit", None)
    monkeypatch.setattr(versions, "version", lambda name: "9.9" if name == "jaxlib" else version(name))
    given = options(output, seeds=2)
    assert run_all(given, "trial", configs(given)) == runs
    others = f"jaxlib {version('jaxlib')}, not 9.9"
    said = f"4 of 4 runs are done\n4 of 4 runs were made with {others}; they are used as they are\n"
    assert capsys.readouterr().out == said
    rows = [Row(name, of, None) for name, of in runs.items()]
    assert describe_mismatches(Report("trial", "Trial", rows, [], {}, {})) == [f"4 of 4 runs were made with {others}."]


def test_runs_of_other_code_are_trained_again_or_taken_as_they_are_and_told_of(
    runs, output, tmp_path, monkeypatch, capsys
):
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    learns = {"learns": configs(options(tmp_path))["learns"]}
    folder = tmp_path / "digits" / "runs" / run_name(learns["learns"])
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
    made, here = json.loads(before["versions.json"])["code"], "0" * 16
    monkeypatch.setattr(versions, "code_fingerprint", lambda: here)
    code = f"cnn3 {version('cnn3')} (code {made}), not {version('cnn3')} (code {here})"

    taken = run_all(options(tmp_path, reuse="any-version"), "trial", learns)
    assert taken["learns"][0].history == runs["learns"][0].history
    assert f"1 of 1 runs were made with {code}; they are used as they are\n" in capsys.readouterr().out
    report = Report("trial", "Trial", [Row("learns", taken["learns"], None)], [], {}, {})
    assert describe_mismatches(report) == [f"1 of 1 runs were made with {code}."]

    again = run_all(options(tmp_path), "trial", learns)
    assert f"{folder.name} was made with {code}: it is trained again; --reuse any-version" in capsys.readouterr().out
    assert again["learns"][0].versions["code"] == here
    kept = folder.with_name(f"{folder.name}.cnn3-{version('cnn3')}-{made[:8]}")
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == before


def test_runs_of_other_data_are_refused(runs, output, monkeypatch):
    monkeypatch.setattr(runner, "dataset_digest", lambda *args, **rest: "another")
    with pytest.raises(OutputError, match=r"on other images \(data [0-9a-f]{16}, not another\)"):
        run_all(options(output), "trial", configs(options(output)))


@as_root
def test_runs_of_others_that_may_only_be_read_are_tabulated_elsewhere(runs, output, monkeypatch):
    monkeypatch.setattr(runner, "fit", None)
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
    trained, loaded, fit, load = [], [], runner.fit, runner.load
    monkeypatch.setattr(
        runner, "fit", lambda config, *args, **rest: trained.append(config) or fit(config, *args, **rest)
    )
    monkeypatch.setattr(
        runner, "load", lambda *args, seed, **rest: loaded.append(seed) or load(*args, seed=seed, **rest)
    )
    given = options(output, seeds=3)
    wanted = {"learns": configs(given)["learns"]}
    found = run_all(given, "trial", wanted)
    assert found["learns"][:2] == runs["learns"]
    assert trained == [replace(wanted["learns"], seed=3138)]
    assert loaded == [3138]


def test_a_diverged_run_is_told_of_and_the_others_go_on(runs, output):
    assert [run.summary.stopped for run in runs["diverges"]] == ["diverged"] * 2
    assert [run.summary.stopped for run in runs["learns"]] == ["epochs"] * 2
    rows = [Row(name, of, None) for name, of in runs.items()]
    ends = {(line[0], line[1]): line[2] for line in runs_table(rows, "row").rows}
    assert ends["diverges", "3136"] == "diverged at epoch 1, training step 2"  # the first step is of finite loss
    assert ends["learns", "3136"] == "all epochs done"
    table = {(line[0], line[1]): line[2:] for line in results_table(rows, "row").rows}
    assert table["diverges", "train"] == ["-", "-"]
    losses = [run.summary.train.loss for run in runs["learns"]]
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
    trained, fit = [], runner.fit
    monkeypatch.setattr(
        runner, "fit", lambda config, *args, **rest: trained.append(config) or fit(config, *args, **rest)
    )
    found = run_all(given, "trial", configs(given))
    assert trained == [damaged]
    assert {path: path.read_bytes() for path in kept.iterdir()} == before
    assert found["learns"][0].summary.test == runs["learns"][0].summary.test
    assert (folder / "best.safetensors").read_bytes() == (runs["learns"][0].folder / "best.safetensors").read_bytes()
    said = "best.safetensors is damaged: its checksum is not that in SHA256SUMS; only this run is trained again"
    assert [record.getMessage() for record in caplog.records] == [f"{folder}: {said}"]


def test_all_configurations_are_checked_before_the_first_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "fit", None)
    given = options(tmp_path, limit=129)
    batch_norm = given.config(model=replace(TINY, batch_norm=True), batch_size=64)
    with pytest.raises(ConfigError, match=r"second: .*one image.*--limit"):
        run_all(given, "trial", {"first": given.config(model=TINY), "second": batch_norm})
    with pytest.raises(UsageError, match=r"limit must be at least 256, a batch of big, not 129"):
        run_all(given, "trial", {"first": given.config(), "big": given.config(batch_size=256)})
    assert list((tmp_path / "digits" / "runs").iterdir()) == []


@pytest.mark.parametrize("folder", ["digits/runs", "digits/trial"])
def test_an_output_folder_that_cannot_be_written_is_found_before_training(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "fit", None)
    (tmp_path / "digits").mkdir()
    (tmp_path / folder).write_text("a file")
    with pytest.raises(OutputError, match="--output"):
        run_all(options(tmp_path), "trial", configs(options(tmp_path)))
