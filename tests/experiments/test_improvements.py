"""The experiment on the improvement techniques, from its command line to its files."""

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest
from PIL import Image

from cnn3 import VARIANTS, RunConfig
from cnn3.runs.folder import read_history
from cnn3.runs.metadata import read_versions
from cnn3.runs.run_name import run_name
from experiments.improvements import main, make_figures, notes
from experiments.support import runner
from experiments.support.display_names import display_name
from experiments.support.figures import COMPARABLE
from experiments.support.options import Options
from experiments.support.reported import IMPROVEMENTS
from experiments.support.run import Run, RunSummary
from experiments.support.tables import Row, results_table
from tests.helpers import fabricated
from tests.helpers.documents import README, arguments
from tests.helpers.drawn import figure_subtitle, lines
from tests.helpers.processes import python

# The README's command, with few images and one epoch.
(SHOWN,) = [args for args in arguments(README, "experiments.improvements") if "digits" in args]
DIGITS = [*SHOWN, "--limit", "128", "--epochs", "1"]
FIGURES = {f"curves_{name}.png" for name in VARIANTS} | {"comparison.png"}  # with two epochs or more


@pytest.fixture(scope="module")
def output(tmp_path_factory) -> Path:
    """Return the output folder of the command, run once."""
    folder = tmp_path_factory.mktemp("results")
    process = python("-m", "experiments.improvements", *DIGITS, "--output", str(folder))
    assert process.returncode == 0, process.stderr
    progress = re.compile(r"\w+, seed 3136 \([1-4] of 4\): (compiling|epoch \d+/\d+)")
    assert [line for line in process.stderr.splitlines() if not progress.match(line)] == []
    assert "Improvement techniques" in process.stdout
    for name in ("summary.json", "table.md"):
        assert f"wrote {folder / 'digits' / 'improvements' / name}\n" in process.stdout
    return folder


@pytest.fixture(scope="module")
def summary(output) -> dict:
    return json.loads((output / "digits" / "improvements" / "summary.json").read_text())


def variant_config(name: str) -> RunConfig:
    return RunConfig(model=VARIANTS[name], dataset="digits", limit=128, epochs=1)


@pytest.mark.whole
def test_all_files_are_written(output):
    folder = output / "digits" / "improvements"
    assert {path.name for path in folder.iterdir()} == {"summary.json", "table.md"}  # one epoch has no curves
    runs = {path.name for path in (output / "digits" / "runs").iterdir()}
    assert runs == {run_name(variant_config(name)) for name in VARIANTS}


@pytest.mark.whole
def test_summary_has_the_schema(summary):
    assert list(summary) == ["experiment", "dataset", "protocol", "limit", "rows"]
    assert {name: summary[name] for name in ("experiment", "dataset", "protocol", "limit")} == {
        "experiment": "improvements",
        "dataset": "digits",
        "protocol": "corrected",
        "limit": 128,
    }
    assert [row["name"] for row in summary["rows"]] == list(VARIANTS)
    for row in summary["rows"]:
        assert list(row) == ["name", "config", "seeds", "mean", "reported"]
        assert RunConfig.from_json(json.dumps(row["config"])) == variant_config(row["name"])
        assert row["reported"] is None
        (seed,) = row["seeds"]
        assert seed["seed"] == 3136
        assert (seed["epochs"], seed["best_epoch"]) == (1, 0)
        assert seed["images_per_second"] > 0
        assert (seed["stopped"], seed["diverged"]) == ("epochs", None)
        for split in ("train", "validation", "test"):
            assert seed[split] == row["mean"][split]
            assert set(seed[split]) == {"loss", "accuracy"}
            assert 0 <= seed[split]["accuracy"] <= 1
            assert row["mean"]["std"][split] == {"loss": None, "accuracy": None}
        # of 128, 143 and 360 images
        for split, count in (("train", 128), ("validation", 143), ("test", 360)):
            correct = seed[split]["accuracy"] * count
            assert correct == pytest.approx(round(correct), abs=1e-9)


@pytest.mark.whole
def test_the_summary_agrees_with_those_of_the_runs(output, summary):
    for row in summary["rows"]:
        folder = output / "digits" / "runs" / run_name(variant_config(row["name"]))
        (seed,) = row["seeds"]
        assert {"seed": 3136, **json.loads((folder / "summary.json").read_text())} == seed
        (record,) = read_history(folder)
        assert record["validation"] == seed["validation"]
        assert {path.stem for path in folder.glob("*.safetensors")} == {"initial", "best"}


@pytest.mark.whole
def test_the_table_shows_the_numbers_of_the_summary(output, summary):
    text = (output / "digits" / "improvements" / "table.md").read_text()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    for row in summary["rows"]:
        start = next(i for i, line in enumerate(cells) if line[0] == display_name(row["name"]))
        for i, split in enumerate(("train", "validation", "test")):
            numbers = [f"{row['mean'][split][metric]:.4f}" for metric in ("accuracy", "loss")]
            assert cells[start + i][1:] == [split, *numbers]
        speed = f"{row['mean']['images_per_second']:.0f}"
        assert [display_name(row["name"]), "3136", "all epochs done", "1", "1", speed] in cells
    assert "Data set digits, the first 128 training images; 1 epoch; 1 seed (3136); protocol corrected." in text
    assert "original study" not in text
    assert ".png" not in text  # one epoch draws no curves


@pytest.mark.whole
def test_the_same_command_again_trains_nothing_and_changes_nothing(output, monkeypatch, capsys):
    monkeypatch.setattr(runner, "fit", None)
    monkeypatch.setattr(runner, "load", None)
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    assert main([*DIGITS, "--output", str(output)]) == 0
    assert {path: path.read_bytes() for path in output.rglob("*") if path.is_file()} == before
    assert "4 of 4 runs are done" in capsys.readouterr().err


@pytest.mark.whole
def test_results_on_cifar10_are_compared_with_the_original_numbers(output):
    rows = []
    for name, reported in IMPROVEMENTS.items():
        folder = output / "digits" / "runs" / run_name(variant_config(name))
        summary = RunSummary.from_dict(json.loads((folder / "summary.json").read_text()))
        run = Run(variant_config(name), folder, read_history(folder), summary, read_versions(folder))
        rows.append(Row(name, [run], reported))
    table = results_table(rows, "variant")
    names = ("original study", "made comparable", "ours", "difference")
    assert table.header[2:] == [*(f"accuracy, {name}" for name in names), "loss, original study", "loss, ours"]
    numbers = [[line[2], line[3], line[6]] for line in table.rows]
    assert numbers[:2] == [["0.7750", "0.7759 to 0.7760", "0.6400"], ["0.8014", "0.8206", "0.5361"]]  # figure 3
    assert numbers[-1] == ["0.7549", "0.7585 to 0.7586", "0.6981"]  # figure 12
    (run,) = rows[0].runs
    assert float(table.rows[1][5]) == pytest.approx(100 * (run.summary.validation.accuracy - 0.8206), abs=0.005)
    text = " ".join(notes(Options()))
    assert "protocol published" in text
    assert "0.8138 (figure 3) and 0.8148 (section 8)" in text
    assert {row.reported.source for row in rows if row.reported} == {"figure 3", "figure 6", "figure 9", "figure 12"}
    assert make_figures(Options(), rows) == {}  # one epoch


def fabricated_rows(epochs: int) -> list[Row]:
    """Return rows of runs that were never trained."""
    accuracies = {name: [0.1 * (i + 1) / (j + 1) for i in range(epochs)] for j, name in enumerate(VARIANTS)}
    configs = {name: Options().config(model=model) for name, model in VARIANTS.items()}
    return [Row(name, [fabricated.run(configs[name], curve)], IMPROVEMENTS[name]) for name, curve in accuracies.items()]


def test_pictures_are_written_from_the_second_epoch_on(tmp_path):
    folder = fabricated.experiment(main, tmp_path, "--epochs", "2")
    assert {path.name for path in folder.glob("*.png")} == FIGURES
    for name in FIGURES:
        assert f"({name})" in (folder / "table.md").read_text()
        with Image.open(folder / name) as image:
            image.load()
            assert image.width >= 900
    assert make_figures(Options(), fabricated_rows(1)) == {}


def test_figures_show_the_original_numbers():
    """Validation numbers of figures 3, 6, 9 and 12; accuracies are converted, such as 0.8014 of 5,120 to 5,000."""
    figures = make_figures(Options(), fabricated_rows(5))
    printed = {"Baseline": (0.8206, 0.5361), "Batch norm": (0.8338, 0.4859), "Dropout": (0.8126, 0.5688)}
    printed["Dense block"] = (0.7616, 0.6944)
    panels = figures["comparison.png"].axes
    for axes, i in zip(panels[:2], (0, 1), strict=True):
        for name, numbers in printed.items():
            assert lines(axes)[f"_original study {name}"][1] == [numbers[i]] * 2
    for name, row in zip(printed, VARIANTS, strict=True):
        figure = figures[f"curves_{row}.png"]
        assert figure.get_suptitle().startswith(f"{name} on CIFAR-10")
        for axes, number in zip(figure.axes, printed[name], strict=True):
            assert lines(axes)["_original study validation"][1] == [number] * 2
        assert COMPARABLE in figure_subtitle(figure)
    assert len({figures[f"curves_{row}.png"].axes[0].get_ylim() for row in VARIANTS}) == 1


def test_reported_numbers_in_json_are_the_original_ones():
    assert IMPROVEMENTS["batch_norm"].to_json() == {
        "source": "figure 6",
        "train": {"loss": 0.5311, "accuracy": 0.8118, "comparable_accuracy": (36575 / 45_000, 36580 / 45_000)},
        "validation": {"loss": 0.4859, "accuracy": 0.8142, "comparable_accuracy": (0.8338, 0.8338)},
        "test": {"loss": 0.4933, "accuracy": 0.8263, "comparable_accuracy": (0.8303, 0.8303)},
    }
    assert asdict(IMPROVEMENTS["batch_norm"])["source"] == "figure 6"


BAD = {
    "an unknown option": (["--epoch", "3"], "--epoch"),
    "an extra argument": (["extra"], "extra"),
    "not a number": (["--epochs", "abc"], "--epochs: 'abc' is not an integer"),
    "no value": (["--epochs"], "--epochs"),
    "a fraction": (["--limit", "1.5"], "--limit: '1.5' is not an integer"),
    "an unknown data set": (["--dataset", "mnist"], "'mnist'"),
    "an unknown protocol": (["--protocol", "fixed"], "'fixed'"),
    "negative epochs": (["--epochs", "-1"], "epochs must be an integer from 1"),
    "no epochs": (["--epochs", "0"], "epochs must be an integer from 1"),
    "no seeds": (["--seeds", "0"], "seeds must be an integer from 1"),
    "no images": (["--limit", "0"], "limit must be"),
    "fewer images than a batch": (["--limit", "127"], "limit must be at least 128"),
    "more images than there are": (["--limit", "1295"], "digits has 1294 training images"),
    "one image left for batch norm": (["--limit", "129"], "batch_norm, seed 3136 (2 of 4): batch_size 128"),
    "data in a file": (["--dataset", "cifar10", "--data-dir", "FILE"], "--data-dir"),
    "output in a file": (["--output", "FILE"], "--output"),
}


@pytest.mark.parametrize(("bad_args", "named"), BAD.values(), ids=BAD)
def test_bad_input_is_a_one_line_error_before_any_training(bad_args, named, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(runner, "fit", None)
    file = tmp_path / "file"
    file.write_text("")
    output = tmp_path / "results"
    args = ["--dataset", "digits", "--output", str(output), *bad_args]
    assert main([str(file) if arg == "FILE" else arg for arg in args]) == 2
    stderr = capsys.readouterr().err
    assert stderr.startswith("error: ")
    assert stderr.endswith("\n")
    assert stderr.count("\n") == 1
    assert named in stderr
    assert [path for path in output.rglob("*") if path.is_file()] == []
