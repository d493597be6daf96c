"""The experiment on training algorithms."""

import json
from pathlib import Path

import pytest

from cnn3 import OPTIMIZERS, RunConfig
from experiments.optimizers import convergence_table, main, make_figures, notes
from experiments.support import reported
from experiments.support.display_names import display_name
from experiments.support.options import Options
from experiments.support.run import Run
from experiments.support.stated_claims import STATEMENTS
from experiments.support.tables import Row
from tests.helpers import fabricated
from tests.helpers.drawn import colors, legend, lines

CIFAR10 = Options()
FIGURES = {
    *("comparison_epochs.png", "comparison_time.png"),
    *("curves_sgd.png", "curves_momentum.png", "curves_rmsprop.png"),  # figures 18 to 23
}
SLOW = [i / 200 for i in range(150)]  # always rising, to 0.745
STOPPED = [0.55, 0.65, 0.8, *[0.75] * 10]  # early stopping


def run(name: str, accuracies: list[float], seed: int = 3136) -> Run:
    return fabricated.run(CIFAR10.tuned(optimizer=OPTIMIZERS[name], seed=seed), accuracies)


@pytest.fixture
def runs() -> dict[str, list[Run]]:
    best: dict[str, float] = {"rmsprop": 0.82, "adam": 0.84, "adamw": 0.83}
    quick = {name: [run(name, [0.5, 0.7, accuracy, *[0.4] * 10])] for name, accuracy in best.items()}
    return {"sgd": [run("sgd", SLOW)], "momentum": [run("momentum", STOPPED)], **quick}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return fabricated.experiment(main, tmp_path_factory.mktemp("results"), "--epochs", "30", "--seeds", "2")


def test_epochs_to_an_accuracy_are_counted_to_the_first_as_high():
    rising = run("sgd", [0.3, 0.5, 0.4, 0.61])
    assert [rising.epochs_to(accuracy) for accuracy in (0.3, 0.5, 0.6, 0.7)] == [1, 2, 4, None]
    assert run("sgd", []).epochs_to(0.1) is None


def test_the_convergence_table_has_each_optimizer(runs):
    rows = [Row(name, members, None) for name, members in runs.items()]
    table = convergence_table(rows)
    assert table.header[5:] == ["epochs to 0.5", "epochs to 0.6", "epochs to 0.7", "epochs to 0.8"]
    lines = {line[0]: line[1:] for line in table.rows}
    assert lines["SGD"] == ["all epochs done", "150", "0.7450", "0.7350", "101", "121", "141", "-"]
    assert lines["SGD with momentum"] == ["no rise for 10 epochs", "13", "0.8000", "0.7900", "1", "2", "3", "3"]


def test_convergence_of_several_seeds_has_means_and_counts():
    seeds = [run("adam", [0.5, 0.6, 0.7]), run("adam", [0.5, 0.5, 0.5, 0.61], 3137), run("adam", [], 3138)]
    (line,) = convergence_table([Row("adam", seeds, None)]).rows
    assert line[1] == "all epochs done (2 of 3); diverged at epoch 1, training step 2 (1 of 3)"
    assert line[5:] == ["1.0 ± 0.0 (2 of 3)", "3.0 ± 1.4 (2 of 3)", "3.0 (1 of 3)", "-"]


def test_rows_are_the_tuned_run_with_another_optimizer(folder):
    rows = json.loads((folder / "summary.json").read_text())["rows"]
    assert [row["name"] for row in rows] == list(OPTIMIZERS)
    options = Options(dataset="digits", epochs=30)
    configs = {row["name"]: RunConfig.from_json(json.dumps(row["config"])) for row in rows}
    assert configs == {name: options.tuned(optimizer=optimizer) for name, optimizer in OPTIMIZERS.items()}
    assert configs["adam"] == options.tuned()


def test_all_files_are_written_and_agree(folder):
    assert {path.name for path in folder.iterdir()} == FIGURES | {"summary.json", "table.md"}
    rows = json.loads((folder / "summary.json").read_text())["rows"]
    cells = fabricated.cells(folder)
    for row in rows:
        numbers = [f"{row['mean'][split]['accuracy']:.4f}" for split in ("validation", "test")]
        (line,) = [line for line in cells if line[0] == display_name(row["name"]) and len(line) == 9]
        assert [cell.split(" ± ")[0] for cell in line[3:5]] == numbers
    text = (folder / "table.md").read_text()
    assert "original study" not in text
    assert all(f"({name})" in text for name in FIGURES)


def test_figures_show_original_numbers_on_cifar10_only(runs):
    rows = [Row(name, members, reported.TUNED if name == "adam" else None) for name, members in runs.items()]
    figures = make_figures(CIFAR10, rows)
    axes = figures["comparison_epochs.png"].axes[0]
    drawn = lines(axes)
    assert drawn["_original study SGD"] == ([150], [pytest.approx(0.63 * 5056 / 5000)])  # section 6.1
    assert drawn["_original study SGD with momentum"] == ([120], [pytest.approx(0.8 * 5056 / 5000)])  # section 6.2
    assert drawn["_original study Adam"][1] == pytest.approx([0.8440] * 2, abs=5e-5)  # figure 15, 0.8346 of 5,056
    for name in ("SGD", "SGD with momentum", "Adam"):
        assert colors(axes)[f"_original study {name}"] == colors(axes)[name]
    assert legend(figures["curves_sgd.png"])[-1] == "original study: about 0.637 at epoch 150"
    on_digits = make_figures(Options(dataset="digits"), [row._replace(reported=None) for row in rows])
    assert not any("original study" in label for figure in on_digits.values() for label in legend(figure))


def test_curves_of_single_optimizers_share_their_vertical_axes(runs):
    figures = make_figures(CIFAR10, [Row(name, members, None) for name, members in runs.items()])
    single = [figure for name, figure in figures.items() if name.startswith("curves")]
    assert len(single) == 3
    assert len({tuple(axes.get_ylim() for axes in figure.axes) for figure in single}) == 1


def test_cifar10_is_compared_with_the_statements_of_the_original_study(monkeypatch, tmp_path, runs, capsys):
    monkeypatch.setattr("experiments.optimizers.run_all", lambda *_: runs)
    monkeypatch.setattr(
        "experiments.support.publish.describe_source", lambda *_: "Its images passed through JPEG once."
    )
    assert main(["--output", str(tmp_path)]) == 0
    cells = fabricated.cells(tmp_path / "cifar10" / "optimizers")
    verdicts = {line[0]: line[2] for line in cells}
    claims = [claim for claim in STATEMENTS if claim.experiment == "optimizers"]
    assert len(claims) == 11
    assert {verdicts[claim.text] for claim in claims} <= {"holds", "does not hold", "undecided"}
    assert verdicts["Momentum makes SGD converge faster."] == "holds"
    assert ["", "test", "0.8339", "0.8379 to 0.8380", "0.8300", "-0.80", "0.4666", "0.1700"] in cells
    assert ["", "validation", "0.8346", "0.8440", "0.8400", "-0.40", "-", "0.1600"] in cells
    assert "section 5 and figure 15" in notes(CIFAR10)[-1]
    stdout = " ".join(capsys.readouterr().out.split())
    assert "protocol published" in stdout
    assert "protocol corrected. Its images passed through JPEG once." in stdout


def test_the_comparison_by_time_uses_the_seconds_of_the_history(runs):
    rows = [Row(name, members, None) for name, members in runs.items()]
    axes = make_figures(CIFAR10, rows)["comparison_time.png"].axes[2]
    assert axes.get_xlabel() == "Training time (min)"
    (sgd,) = [line for line in axes.lines if line.get_label() == "SGD"]
    epochs = len(SLOW)
    assert list(sgd.get_xdata()) == pytest.approx([fabricated.SECONDS / 60 * (i + 1) for i in range(epochs)])  # type: ignore[arg-type]
