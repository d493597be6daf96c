"""The experiment on the latent space, on fabricated runs, and from its command line to its files."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import cnn3
from cnn3 import PROTOCOLS, RunConfig
from cnn3.analysis import latent
from cnn3.analysis.latent import compute_latents, measure_separability
from cnn3.nn.network import CNN3
from cnn3.runs.result import weight_names
from cnn3.runs.run_name import run_name
from cnn3.runs.versions import current_versions
from cnn3.training.metrics import Metrics
from cnn3.weights.weight_files import save_weights
from experiments.latent import (
    figure_snapshots,
    main,
    make_figures,
    missing_snapshots,
    notes,
    scores_by_name,
    separability_table,
    to_json,
)
from experiments.support import latent_space
from experiments.support.latent_space import LatentSpace, Snapshot
from experiments.support.options import Options
from experiments.support.run import Run, RunSummary
from tests.helpers import fabricated
from tests.helpers.drawn import figure_subtitle
from tests.helpers.processes import python
from tests.helpers.tiny import TINY, initial_weights

experiment = importlib.import_module("experiments.latent")


pytestmark = pytest.mark.usefixtures("quick_to_compile")


@pytest.fixture(scope="module")
def digits() -> cnn3.Dataset:
    return cnn3.load("digits")


def history(epochs: int, best: int) -> list[dict]:
    records = []
    for i in range(epochs):
        metrics = {"loss": 1.0, "accuracy": 0.9 if i == best else 0.5}
        records.append({"epoch": i, "train": metrics, "validation": metrics, "images_per_second": 1.0})
    return records


def fabricate(options: Options, epochs: int, best: int, seed: int = 3136) -> Run:
    """Return a run of the tuned model, made small, with random weights for each snapshot that it would have kept."""
    config = options.tuned(model=TINY, seed=seed)
    folder = options.folder("runs") / run_name(config)
    folder.mkdir(parents=True)
    records = history(epochs, best)
    for i, name in enumerate(weight_names(config, records)):
        save_weights(folder / f"{name}.safetensors", CNN3(TINY), initial_weights(CNN3(TINY), seed + i))
    outcome = fabricated.summary(config, records, Metrics(1.0, 0.9) if records else None)
    return Run(config, folder, records, RunSummary.from_dict(outcome), current_versions(config))


def digits_options(output: Path, **changes) -> Options:
    return Options(dataset="digits", output=output, **changes)


def test_snapshots_are_those_that_the_run_kept(tmp_path):
    options = digits_options(tmp_path)
    space = LatentSpace(options, fabricate(options, 25, best=14))
    assert [(snapshot.name, snapshot.epochs) for snapshot in space.snapshots] == [
        ("initial", 0),
        ("epoch0", 1),
        ("epoch1", 2),
        ("epoch2", 3),
        ("epoch4", 5),
        ("epoch9", 10),
        ("epoch20", 21),
        ("best", 15),
    ]
    assert [snapshot.name for snapshot in figure_snapshots(space.snapshots)] == ["initial", "epoch20", "best"]
    assert list(map(str, figure_snapshots(space.snapshots))) == ["before training", "epoch 21", "best, epoch 15"]
    assert missing_snapshots(space) == []


@pytest.mark.parametrize(
    ("epochs", "best", "names", "expected"),
    [
        (7, 3, ["initial", "epoch4", "best"], "ended before epoch 21; the middle is epoch 5 instead"),
        (5, 4, ["initial", "epoch2", "best"], "ended before epoch 21; the middle is epoch 3 instead"),
        (1, 0, ["initial", "epoch0", "best"], "ended before epoch 21; the middle is epoch 1 instead"),
        (0, 0, ["initial"], "diverged in its first epoch"),
    ],
)
def test_missing_snapshots_of_a_short_run_are_named(epochs, best, names, expected, tmp_path):
    options = digits_options(tmp_path, epochs=max(epochs, 1))
    space = LatentSpace(options, fabricate(options, epochs, best))
    assert [snapshot.name for snapshot in figure_snapshots(space.snapshots)] == names
    (note,) = missing_snapshots(space)
    assert expected in note


@pytest.fixture
def tsne_starts(monkeypatch, digits) -> list:
    """Replace t-SNE by the first two latent values, load the data once, and return the start of each map."""
    starts = []

    def first_two(values: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        starts.append(start)
        return values[:, :2]

    monkeypatch.setattr(latent_space, "tsne", first_two)
    monkeypatch.setattr(latent_space, "load", lambda *_: digits)
    return starts


@pytest.mark.whole
def test_maps_and_scores_are_computed_once(tsne_starts, tmp_path, monkeypatch, digits):
    options = digits_options(tmp_path, epochs=2)
    run = fabricate(options, 2, best=0)
    space = LatentSpace(options, run)
    scores = scores_by_name([{snapshot: space.scores(snapshot) for snapshot in space.snapshots}])
    figures = make_figures(space, scores)
    trajectory = space.trajectory()
    assert [snapshot.name for snapshot in trajectory] == ["initial", "epoch0", "best", "epoch1"]
    assert tsne_starts[:3] == [None] * 3  # initial, middle and best begin from the principal components
    assert tsne_starts[3] is None
    for start, before in zip(tsne_starts[4:], list(trajectory.values())[:-1], strict=True):
        assert np.array_equal(start, before)
    assert set(figures) == {
        *("side_by_side.png", "evolution.png", "evolution.gif", "separability.png"),
    }
    weights = cnn3.load_weights(run.folder / "epoch1.safetensors", CNN3(TINY))
    values = compute_latents(CNN3(TINY), weights, digits.test.images)
    np.testing.assert_allclose(space.embedding(space.snapshots[2]), values[:, :2], rtol=0, atol=2e-7)  # seen: 2.6e-8
    assert space.scores(space.snapshots[2]) == pytest.approx(measure_separability(values, digits.test.labels))

    for name in ("tsne", "measure_separability", "load", "load_trained"):
        monkeypatch.setattr(latent_space, name, None)
    reread = LatentSpace(options, run)
    assert scores_by_name([{snapshot: reread.scores(snapshot) for snapshot in reread.snapshots}]) == scores
    assert set(make_figures(reread, scores)) == set(figures)
    assert figures["evolution.gif"] == make_figures(reread, scores)["evolution.gif"]


def test_identical_weights_are_shown_once_in_the_evolution(tsne_starts, tmp_path):
    options = digits_options(tmp_path, epochs=2)
    run = fabricate(options, 2, best=1)
    shutil.copyfile(run.folder / "epoch1.safetensors", run.folder / "best.safetensors")
    assert [snapshot.name for snapshot in LatentSpace(options, run).trajectory()] == ["initial", "epoch0", "best"]


def test_other_weights_are_computed_again(tsne_starts, tmp_path):
    options = digits_options(tmp_path, epochs=1)
    run = fabricate(options, 1, best=0)
    before = LatentSpace(options, run).embedding(Snapshot("best", 1))
    save_weights(run.folder / "best.safetensors", CNN3(TINY), initial_weights(CNN3(TINY), 99))
    assert not np.array_equal(LatentSpace(options, run).embedding(Snapshot("best", 1)), before)


@pytest.mark.whole
def test_the_published_protocol_uses_training_mode_for_all_but_the_best_weights(tsne_starts, tmp_path, digits):
    for protocol in PROTOCOLS:
        options = digits_options(tmp_path, epochs=1, protocol=protocol)
        run = fabricate(options, 1, best=0)
        space = LatentSpace(options, run)
        model = CNN3(TINY, protocol == "published")
        for snapshot in space.snapshots:
            weights = cnn3.load_weights(run.folder / f"{snapshot.name}.safetensors", model)
            training = protocol == "published" and snapshot.name != "best"
            values = compute_latents(model, weights, digits.test.images, training_mode=training)
            np.testing.assert_allclose(space.embedding(snapshot), values[:, :2], rtol=0, atol=2e-5)  # seen: 3.0e-6
        text = " ".join(notes(options, space))
        assert ("in training mode" in text) == (protocol == "published")


def test_seeds_are_averaged_by_snapshot():
    seed_1 = {
        Snapshot("initial", 0): latent.Separability(0.1, 0.2, 0.0),
        Snapshot("best", 3): latent.Separability(0.7, 0.8, 0.3),
    }
    seed_2 = {
        Snapshot("initial", 0): latent.Separability(0.3, 0.2, -0.1),
        Snapshot("epoch4", 5): latent.Separability(0.5, 0.5, 0.1),
        Snapshot("best", 7): latent.Separability(0.9, 0.8, 0.5),
    }
    scores = scores_by_name([seed_1, seed_2])
    assert separability_table(scores).rows == [
        ["before training", "0.2000 ± 0.1414", "0.2000 ± 0.0000", "-0.0500 ± 0.0707"],
        ["epoch 5", "0.5000 (1 of 2)", "0.5000 (1 of 2)", "0.1000 (1 of 2)"],
        ["best", "0.8000 ± 0.1414", "0.8000 ± 0.0000", "0.4000 ± 0.1414"],
    ]
    entries = json.loads(json.dumps(to_json(scores), allow_nan=False))
    assert [stage["stage"] for stage in entries] == ["initial", "epoch4", "best"]
    assert entries[1]["seeds"] == [None, {"epochs": 5, "neighbours": 0.5, "probe": 0.5, "silhouette": 0.1}]
    figure = experiment.separability(Options(dataset="digits", seeds=2), scores)
    assert "Trained on 1,294 images" in figure_subtitle(figure)
    assert "Mean ± standard deviation of 2 seeds." in figure_subtitle(figure)
    line = figure.axes[0].lines[0]
    assert list(np.asarray(line.get_xdata())) == [0, 5, 5]
    np.testing.assert_allclose(np.asarray(line.get_ydata()), [0.2, 0.5, 0.8])


# The command


@pytest.mark.whole
def test_from_the_command_line_to_the_files(tmp_path, monkeypatch, capsys):
    args = ["--dataset", "digits", "--limit", "128", "--epochs", "1", "--output", str(tmp_path)]
    process = python("-W", "error", "-m", "experiments.latent", *args)
    assert process.returncode == 0, process.stderr
    folder = tmp_path / "digits" / "latent"
    pictures = {"side_by_side.png", "evolution.png", "separability.png"}
    assert {path.name for path in folder.iterdir()} == pictures | {
        *("evolution.gif", "summary.json", "table.md", "cache")
    }
    summary = json.loads((folder / "summary.json").read_text())
    (row,) = summary["rows"]
    assert RunConfig.from_json(json.dumps(row["config"])).snapshots[0] == 0
    assert [stage["stage"] for stage in row["latent"]] == ["initial", "epoch0", "best"]
    text = (folder / "table.md").read_text()
    for stage, label in zip(row["latent"], ("before training", "epoch 1", "best, epoch 1"), strict=True):
        (scores,) = stage["seeds"]
        numbers = " | ".join(f"{scores[name]:.4f}" for name in ("neighbours", "probe", "silhouette"))
        assert f"| {label} | {numbers} |" in text
    assert "the middle is epoch 1 instead" in text
    assert "original study" not in text

    for name in ("tsne", "measure_separability", "load"):
        monkeypatch.setattr(latent_space, name, None)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(args) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert "1 of 1 runs are done" in capsys.readouterr().err
