"""The recipes of docs/extending.md, followed without editing cnn3: an optimizer and an experiment."""

import inspect
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnn3 import ConfigError, OptimizerConfig, RunConfig, fit, load
from cnn3.training import optim
from cnn3.training.optim import UPDATE_RULES, hyperparameters, make_optimizer, update_rule
from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.runner import run_all
from experiments.support.tables import Row, results_table
from tests.helpers.documents import blocks
from tests.helpers.processes import ROOT, python
from tests.helpers.tiny import TINY

LEARNING_RATE, DECAY = 1e-2, 0.1
SHORT = ["--dataset", "digits", "--limit", "128", "--epochs", "1"]
OPTIMIZER, COMMAND = blocks(ROOT / "docs" / "extending.md", "python")
WORK = """from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.runner import run_all
from experiments.support.tables import Row, results_table
from tests.helpers.tiny import TINY

NAME, TITLE = "batch_sizes", "Batch sizes"
work = lambda options: batch_sizes(options)
"""


@pytest.fixture
def lion_config(monkeypatch: pytest.MonkeyPatch) -> RunConfig:
    monkeypatch.setitem(UPDATE_RULES, "lion", UPDATE_RULES["sgd"])  # so that it is removed at the end
    exec(OPTIMIZER, vars(optim).copy())
    optimizer = OptimizerConfig("lion", LEARNING_RATE, weight_decay=DECAY)
    return RunConfig(TINY, optimizer=optimizer, batch_size=64, dataset="digits", limit=128, epochs=2)


def test_an_added_optimizer_follows_its_paper(lion_config: RunConfig) -> None:
    """Algorithm 2 of Chen et al. 2023, written out in NumPy."""
    rng = np.random.default_rng(0)
    weights, momentum = rng.normal(size=16).astype(np.float32), np.zeros(16, np.float32)
    tx = make_optimizer(update_rule("lion").transform, hyperparameters(lion_config))
    params = {"layer": {"kernel": jnp.asarray(weights)}}
    state = tx.init(params)
    for gradient in rng.normal(size=(5, 16)).astype(np.float32):
        updates, state = tx.update({"layer": {"kernel": jnp.asarray(gradient)}}, state, params)
        params = optax.apply_updates(params, updates)
        direction = np.sign(0.9 * momentum + 0.1 * gradient)
        weights = weights - LEARNING_RATE * (direction + DECAY * weights)
        momentum = 0.99 * momentum + 0.01 * gradient
    np.testing.assert_allclose(params["layer"]["kernel"], weights, rtol=1e-5)  # type: ignore[index]


@pytest.mark.usefixtures("quick_to_compile")
def test_a_run_with_an_added_optimizer_trains_and_is_saved_by_name(lion_config: RunConfig, tmp_path: Path) -> None:
    dataset = load("digits", limit=128)
    result = fit(lion_config, dataset, tmp_path / "run")
    assert result.history[-1]["train"]["loss"] < result.history[0]["train"]["loss"]
    assert RunConfig.from_json((tmp_path / "run" / "config.json").read_text()) == lion_config
    moved = jax.tree.map(lambda a, b: bool(np.any(a != b)), result.weights["initial"], result.weights["best"])
    assert all(jax.tree.leaves(moved.params))


def test_an_unknown_optimizer_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    config = RunConfig(TINY, optimizer=OptimizerConfig("lyon"), batch_size=64, dataset="digits", limit=128)
    with pytest.raises(ConfigError, match=r"optimizer.name must be one of sgd, .*, not 'lyon'"):
        fit(config, load("digits", limit=128), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def batch_sizes(options: Options) -> Report:
    """Train with two batch sizes."""
    configs = {f"batch size {size}": options.config(model=TINY, batch_size=size) for size in (32, 64)}
    runs = run_all(options, "batch_sizes", configs)
    rows = [Row(name, runs[name], None) for name in configs]
    return Report("batch_sizes", "Batch sizes", rows, [], {"Results": results_table(rows, "batch size")}, {})


@pytest.mark.usefixtures("quick_to_compile")
def test_an_experiment_has_a_command_line_and_writes_its_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = Experiment("batch_sizes", "Batch sizes", "Two batch sizes, compared.", batch_sizes).main
    assert main([*SHORT, "--output", str(tmp_path)]) == 0
    folder = tmp_path / "digits" / "batch_sizes"
    summary = json.loads((folder / "summary.json").read_text())
    assert [row["name"] for row in summary["rows"]] == ["batch size 32", "batch size 64"]
    assert all(0 <= row["mean"]["test"]["accuracy"] <= 1 for row in summary["rows"])
    assert "batch size 32" in (folder / "table.md").read_text()
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert not end.value.code
    assert "Two batch sizes, compared." in capsys.readouterr().out


@pytest.mark.whole
def test_the_file_of_the_recipe_is_a_command(tmp_path: Path) -> None:
    code = COMMAND.replace('"NAME"', '"batch_sizes"').replace("...", f"{WORK}\n{inspect.getsource(batch_sizes)}")
    (tmp_path / "batch_sizes.py").write_text(f'"""Two batch sizes, compared."""\n\n{code}')
    program = (
        "import experiments, runpy\n"
        f"experiments.__path__.append({str(tmp_path)!r})\n"
        "runpy.run_module('experiments.batch_sizes', run_name='__main__', alter_sys=True)\n"
    )
    described = python("-c", program, "--help")
    assert described.returncode == 0, described.stderr
    assert "Two batch sizes, compared." in described.stdout
    done = python("-c", program, *SHORT, "--output", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "batch size 32" in (tmp_path / "digits" / "batch_sizes" / "table.md").read_text()
