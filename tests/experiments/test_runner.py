"""Train, resume or read the runs of an experiment."""

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
from experiments.support import runner, worker_pool
from experiments.support.mismatches import describe_mismatches
from experiments.support.options import Options
from experiments.support.publish import summarise
from experiments.support.report import Report
from experiments.support.runner import run_all
from experiments.support.tables import Row, mean, results_table, runs_table
from tests.helpers.users import as_root, nobody

ROOT = Path(__file__).parents[2]
TINY = ModelConfig(channels=(2, 2, 2), hidden=(128,))
DIVERGES = 1e30  # learning rate


def make_options(output: Path, **changes) -> Options:
    return replace(Options(dataset="digits", output=output, epochs=2, limit=128), **changes)


def make_configs(options: Options) -> dict[str, RunConfig]:
    rates = {"diverges": DIVERGES, "learns": 0.01}
    sgd = {name: OptimizerConfig("sgd", rate, weight_decay=0.0) for name, rate in rates.items()}
    return {name: options.config(model=TINY, optimizer=optimizer, batch_size=64) for name, optimizer in sgd.items()}


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="module")
def runs(output):
    options = make_options(output, seeds=2)
    jax.config.update("jax_disable_most_optimizations", True)  # compiling takes longest here
    try:
        return run_all(options, "trial", make_configs(options))
    finally:
        jax.config.update("jax_disable_most_optimizations", False)


def test_each_configuration_is_run_with_each_seed(runs, output):
    options = make_options(output, seeds=2)
    for name, config in make_configs(options).items():
        expected = [replace(config, seed=seed) for seed in (3136, 3137)]
        assert [run.config for run in runs[name]] == expected
        for run in runs[name]:
            assert run.folder == output / "digits" / "runs" / run_name(run.config)
            assert RunConfig.from_json((run.folder / "config.json").read_text()) == run.config
            assert json.loads((run.folder / "summary.json").read_text()) == run.summary.to_dict()
            assert len(run.history) == run.summary.epochs
    first, second = (run.history[0]["train"]["loss"] for run in runs["learns"])
    assert first != second


def test_the_longest_runs_start_first(tmp_path, monkeypatch):
    started: list[str] = []

    def fake_train(jobs, placements):
        started.extend(job.label for job in jobs)
        raise KeyboardInterrupt

    monkeypatch.setattr(worker_pool, "train", fake_train)
    options = make_options(tmp_path, jobs=2)
    plain = options.config(model=TINY, batch_size=64)
    wide = replace(TINY, channels=(4, 4, 4))
    configs = {
        "plain": plain,
        "wide": replace(plain, model=wide),
        "plain again": replace(plain, batch_size=32),
        "longer": replace(plain, epochs=9),
    }
    with pytest.raises(KeyboardInterrupt):
        run_all(options, "trial", configs)
    assert started == [
        "longer, seed 3136 (4 of 4)",
        "wide, seed 3136 (2 of 4)",
        "plain, seed 3136 (1 of 4)",
        "plain again, seed 3136 (3 of 4)",
    ]


def test_finished_runs_are_only_read(runs, output, monkeypatch):
    monkeypatch.setattr(runner, "fit", None)
    monkeypatch.setattr(runner, "load", None)
    options = make_options(output, seeds=2)
    assert run_all(options, "trial", make_configs(options)) == runs
    single_seed = run_all(make_options(output), "other", make_configs(options))
    assert single_seed == {name: seeds[:1] for name, seeds in runs.items()}


def test_runs_of_other_versions_are_used_and_reported(runs, output, monkeypatch, capsys):
    monkeypatch.setattr(runner, "fit", None)
    monkeypatch.setattr(versions, "version", lambda name: "9.9" if name == "jaxlib" else version(name))
    options = make_options(output, seeds=2)
    assert run_all(options, "trial", make_configs(options)) == runs
    mismatch = f"jaxlib {version('jaxlib')}, not 9.9"
    stderr = f"4 of 4 runs are done\n4 of 4 runs were made with {mismatch}; they are used as they are\n"
    assert capsys.readouterr().err == stderr
    assert describe_mismatches([*runs["diverges"], *runs["learns"]], 4) == [f"4 of 4 runs were made with {mismatch}"]


def test_runs_that_differ_in_their_code_only_are_described_together(runs):
    run, current = runs["learns"][0], version("cnn3")
    code = run.versions["code"]
    without_code = {name: value for name, value in run.versions.items() if name != "code"}
    changes = [
        {"cnn3": "0.4.0"},
        {"cnn3": "0.4.0", "code": "a" * 16},
        {"code": "b" * 16},
        {"code": code},
        {"code": "c" * 16},
        {"code": "b" * 16, "platform": "gpu"},
    ]
    others = [run._replace(versions={**without_code, **change}) for change in changes]
    now = f"not {current} (code {code})"
    assert describe_mismatches(others, 9) == [
        f"2 of 9 runs were made with cnn3 0.4.0 (codes unknown, {'a' * 16}), {now}",
        f"2 of 9 runs were made with cnn3 {current} (codes {'b' * 16}, {'c' * 16}), {now}",
        f"1 of 9 runs were made with cnn3 {current} (code {'b' * 16}), {now} and platform gpu, not cpu",
    ]


def test_runs_of_other_code_are_trained_again_or_reused_and_reported(runs, output, tmp_path, monkeypatch, capsys):
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    learns = {"learns": make_configs(make_options(tmp_path))["learns"]}
    folder = tmp_path / "digits" / "runs" / run_name(learns["learns"])
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}
    saved_code, current_code = json.loads(before["versions.json"])["code"], "0" * 16
    monkeypatch.setattr(versions, "code_fingerprint", lambda: current_code)
    code = f"cnn3 {version('cnn3')} (code {saved_code}), not {version('cnn3')} (code {current_code})"

    reused = run_all(make_options(tmp_path, reuse="any-version"), "trial", learns)
    assert reused["learns"][0].history == runs["learns"][0].history
    assert f"1 of 1 runs were made with {code}; they are used as they are\n" in capsys.readouterr().err
    assert describe_mismatches(reused["learns"], 1) == [f"1 of 1 runs were made with {code}"]

    retrained = run_all(make_options(tmp_path), "trial", learns)
    assert f"{folder.name} was made with {code}: it is trained again; --reuse any-version" in capsys.readouterr().err
    assert retrained["learns"][0].versions["code"] == current_code
    old_folder = folder.with_name(f"{folder.name}.cnn3-{version('cnn3')}-{saved_code[:8]}")
    assert {path.name: path.read_bytes() for path in old_folder.iterdir()} == before


def test_runs_of_other_data_are_refused(runs, output, monkeypatch):
    monkeypatch.setattr(runner, "dataset_digest", lambda *args, **kwargs: "another")
    with pytest.raises(OutputError, match=r"on other images \(data [0-9a-f]{16}, not another\)"):
        run_all(make_options(output), "trial", make_configs(make_options(output)))


def test_runs_of_other_data_are_tabulated(runs, output, monkeypatch, capsys):
    monkeypatch.setattr(runner, "dataset_digest", lambda *args, **kwargs: "another")
    options = make_options(output, only_finished=True, seeds=2)
    read = run_all(options, "trial", make_configs(options))
    assert {name: [run.summary for run in seeds] for name, seeds in read.items()} == {
        name: [run.summary for run in seeds] for name, seeds in runs.items()
    }
    assert "4 of 4 runs were trained on other images than these; they are used as they are\n" in capsys.readouterr().err


@as_root
def test_read_only_runs_are_tabulated_in_another_folder(runs, output, monkeypatch):
    monkeypatch.setattr(runner, "fit", None)
    with TemporaryDirectory() as scratch:  # pytest's own folders are its user's
        read_only = Path(shutil.copytree(output / "digits" / "runs", Path(scratch) / "read_only"))
        writable = Path(scratch) / "writable"
        for folder, mode in ((scratch, 0o755), (read_only, 0o555)):
            os.chmod(folder, mode)
        writable.mkdir()
        writable.chmod(0o777)
        before = {path: path.stat().st_mtime_ns for path in read_only.rglob("*")}
        options = make_options(writable, seeds=2, runs=read_only)
        with nobody():
            read = run_all(options, "trial", make_configs(options))
            with pytest.raises(OutputError, match=f"cannot write to {read_only}: Permission denied; .* --runs"):
                run_all(replace(options, seeds=3), "trial", make_configs(options))
        assert [[run.summary for run in seeds] for seeds in read.values()] == [
            [run.summary for run in seeds] for seeds in runs.values()
        ]
        assert {path: path.stat().st_mtime_ns for path in read_only.rglob("*")} == before
        assert [path.relative_to(writable) for path in writable.rglob("*")] == [Path("digits"), Path("digits/trial")]


def test_an_additional_seed_is_trained_alone_on_its_own_split(runs, output, monkeypatch):
    trained, loaded, fit, load = [], [], runner.fit, runner.load
    monkeypatch.setattr(
        runner, "fit", lambda config, *args, **kwargs: trained.append(config) or fit(config, *args, **kwargs)
    )
    monkeypatch.setattr(
        runner, "load", lambda *args, seed, **kwargs: loaded.append(seed) or load(*args, seed=seed, **kwargs)
    )
    options = make_options(output, seeds=3)
    learns = {"learns": make_configs(options)["learns"]}
    results = run_all(options, "trial", learns)
    assert results["learns"][:2] == runs["learns"]
    assert trained == [replace(learns["learns"], seed=3138)]
    assert loaded == [3138]


def test_a_diverged_run_is_reported_and_the_others_continue(runs, output):
    assert [run.summary.stopped for run in runs["diverges"]] == ["diverged"] * 2
    assert [run.summary.stopped for run in runs["learns"]] == ["epochs"] * 2
    rows = [Row(name, seeds, None) for name, seeds in runs.items()]
    ends = {(line[0], line[1]): line[2] for line in runs_table(rows, "row").rows}
    assert ends["diverges", "3136"] == "diverged at epoch 1, training step 2"  # the loss of the first step is finite
    assert ends["learns", "3136"] == "all epochs done"
    table = {(line[0], line[1]): line[2:] for line in results_table(rows, "row").rows}
    assert table["diverges", "train"] == ["-", "-"]
    losses = [run.summary.train.loss for run in runs["learns"]]
    spread = abs(losses[0] - losses[1]) / 2**0.5
    assert table["learns", "train"][1] == f"{sum(losses) / 2:.4f} ± {spread:.4f}"
    summary = summarise(make_options(output, seeds=2), Report("trial", "Trial", rows, [], {}, {}))
    assert summary["rows"][0]["mean"]["seeds"] == 0
    assert summary["rows"][0]["mean"]["test"] == {"loss": None, "accuracy": None}
    assert summary["rows"][0]["seeds"][0]["test"] is None
    json.dumps(summary, allow_nan=False)


def test_means_cover_the_seeds_with_numbers_and_count_them(runs):
    mixed = Row("mixed", [*runs["learns"], runs["diverges"][0]], None)
    assert mean(mixed.runs) == mean(runs["learns"])
    assert results_table([mixed], "row").rows[0][2].endswith("(2 of 3)")


def test_only_the_damaged_run_is_trained_again(runs, output, tmp_path, monkeypatch, caplog):
    shutil.copytree(output, tmp_path, dirs_exist_ok=True)
    options = make_options(tmp_path)
    damaged = make_configs(options)["learns"]
    folder = tmp_path / "digits" / "runs" / run_name(damaged)
    (folder / "best.safetensors").write_bytes(b"")
    intact = tmp_path / "digits" / "runs" / run_name(make_configs(options)["diverges"])
    before = {path: path.read_bytes() for path in intact.iterdir()}
    trained, fit = [], runner.fit
    monkeypatch.setattr(
        runner, "fit", lambda config, *args, **kwargs: trained.append(config) or fit(config, *args, **kwargs)
    )
    results = run_all(options, "trial", make_configs(options))
    assert trained == [damaged]
    assert {path: path.read_bytes() for path in intact.iterdir()} == before
    assert results["learns"][0].summary.test == runs["learns"][0].summary.test
    assert (folder / "best.safetensors").read_bytes() == (runs["learns"][0].folder / "best.safetensors").read_bytes()
    message = "best.safetensors is damaged: its checksum is not that in SHA256SUMS; only this run is trained again"
    assert [record.getMessage() for record in caplog.records] == [f"{folder}: {message}"]


def test_all_configurations_are_checked_before_the_first_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "fit", None)
    options = make_options(tmp_path, limit=129)
    batch_norm = options.config(model=replace(TINY, batch_norm=True), batch_size=64)
    with pytest.raises(ConfigError, match=r"second, seed 3136 \(2 of 2\): .*one image.*--limit"):
        run_all(options, "trial", {"first": options.config(model=TINY), "second": batch_norm})
    with pytest.raises(UsageError, match=r"limit must be at least 256, a batch of big, not 129"):
        run_all(options, "trial", {"first": options.config(), "big": options.config(batch_size=256)})
    assert list((tmp_path / "digits" / "runs").iterdir()) == []


@pytest.mark.parametrize("folder", ["digits/runs", "digits/trial"])
def test_an_unwritable_output_folder_is_reported_before_training(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "fit", None)
    (tmp_path / "digits").mkdir()
    (tmp_path / folder).write_text("a file")
    with pytest.raises(OutputError, match="--output"):
        run_all(make_options(tmp_path), "trial", make_configs(make_options(tmp_path)))
