"""The latent space: how it is read, mapped, scored and drawn, and the experiment from its command line to its files."""

import importlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn.manifold import trustworthiness

import cnn3
from cnn3 import PROTOCOLS, OutputError, RunConfig, WeightsError, latent, plots
from cnn3.augment import normalize
from cnn3.config import ModelConfig
from cnn3.fit import weight_names
from cnn3.latent import latents, scores, tsne
from cnn3.model import CNN3
from cnn3.train import Weights
from cnn3.weights import save_weights
from experiments.cache import cached, file_digest
from experiments.common import Options, Run, run_name
from experiments.latent import Space, Stage, by_stage, figures, main, missing, notes, separability_table, shown, to_json

experiment = importlib.import_module("experiments.latent")
ROOT = Path(__file__).parent.parent
TINY = ModelConfig(batch_norm=True, channels=(4, 4, 4), hidden=(16, 128))


@pytest.fixture(autouse=True, scope="module")
def quick_to_compile() -> Iterator[None]:
    jax.config.update("jax_disable_most_optimizations", True)  # compiling takes longest here
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="module")
def digits() -> cnn3.Dataset:
    return cnn3.load("digits")


@pytest.fixture(scope="module")
def model() -> CNN3:
    return CNN3(TINY)


def make_weights(model: CNN3, seed: int = 0) -> Weights:
    variables = model.init(jax.random.key(seed), jnp.zeros((2, 32, 32, 3)), train=False)
    return jax.tree.map(np.asarray, Weights(variables["params"], variables["batch_stats"]))  # type: ignore[arg-type]


def clusters(distance: float, count: int = 60, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return points about the corners of a simplex so far apart, in no order of their classes, and their classes."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(count) % classes)
    return (rng.normal(size=(count, 8)) + distance * np.eye(8)[labels]).astype(np.float32), labels


# Latents


def test_latents_are_the_networks_in_either_mode(model, digits):
    weights, images = make_weights(model), digits.test.images[:150]
    variables = jax.tree.map(jnp.asarray, weights._asdict())
    inference = model.apply(variables, normalize(jnp.asarray(images)), train=False).latent
    np.testing.assert_allclose(latents(model, weights, images), inference, rtol=1e-4, atol=1e-5)
    found = latents(model, weights, images, training_mode=True)
    for start in (0, 64, 128):  # the last batch has 22 images
        x = normalize(jnp.asarray(images[start : start + 64]))
        output, _ = model.apply(variables, x, train=True, mutable=["batch_stats"])
        np.testing.assert_allclose(found[start : start + 64], output.latent, rtol=1e-4, atol=1e-5)
    assert np.abs(found - inference).max() > 0.01


@pytest.mark.parametrize("count", [40, 64])
def test_one_batch_may_be_all(count, model, digits):
    found = latents(model, make_weights(model), digits.test.images[:count], training_mode=True)
    assert found.shape == (count, 128)


# Scores


def brute_force(values: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Return the accuracy of 10 nearest neighbours and the silhouette, point by point."""
    right, widths = [], []
    for i, point in enumerate(values.astype(float)):
        distances = np.sqrt(((values - point) ** 2).sum(1))
        others = sorted((j for j in range(len(values)) if j != i), key=lambda j: distances[j])
        votes = [int(labels[j]) for j in others[:10]]
        winner = max(sorted(set(labels.tolist())), key=votes.count)
        right.append(winner == labels[i])
        means = {c: np.mean([distances[j] for j in others if labels[j] == c]) for c in set(labels.tolist())}
        a = means.pop(int(labels[i]))
        b = min(means.values())
        widths.append((b - a) / max(a, b))
    return float(np.mean(right)), float(np.mean(widths))


@pytest.mark.parametrize("distance", [0, 2, 20])
def test_scores_are_their_formulas(distance):
    values, labels = clusters(distance)
    found = scores(values, labels)
    neighbours, silhouette = brute_force(values, labels)
    assert found.neighbours == pytest.approx(neighbours)
    assert found.silhouette == pytest.approx(silhouette, abs=1e-6)


def test_scores_rise_from_chance_to_one_with_distance():
    near, middle, far = (scores(*clusters(distance, count=300)) for distance in (0, 2, 20))
    for a, b, c in zip(near, middle, far, strict=True):
        assert a < b < c
    assert near.neighbours == pytest.approx(1 / 3, abs=0.1)
    assert near.probe == pytest.approx(1 / 3, abs=0.1)
    assert near.silhouette == pytest.approx(0, abs=0.03)
    assert far.neighbours == far.probe == 1


def test_the_probe_is_linear_standardised_and_scored_on_the_second_half():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(400, 3))
    labels = (values[:, 0] > 0).astype(int)
    values[:, 0] *= 1e-6  # without standardising it would not be seen
    values[:, 1] *= 1e6
    assert scores(values, labels).probe > 0.95
    swapped = np.where(np.arange(400) < 200, labels, 1 - labels)  # what the first half teaches is wrong of the second
    assert scores(values, swapped).probe < 0.05
    ring = np.linalg.norm(values / values.std(0), axis=1) > 1.5  # no line parts a ball from what is around it
    assert scores(values, ring.astype(int)).probe < 0.75


def test_scores_of_real_digits(digits):
    pixels = digits.test.images[..., 0].reshape(360, -1).astype(np.float32)
    found = scores(pixels, digits.test.labels)
    neighbours, silhouette = brute_force(pixels[:, ::4], digits.test.labels)
    assert scores(pixels[:, ::4], digits.test.labels).neighbours == pytest.approx(neighbours)
    assert scores(pixels[:, ::4], digits.test.labels).silhouette == pytest.approx(silhouette, abs=1e-5)
    assert found.neighbours > 0.9  # raw pixels of digits are known to be easy
    assert found.probe > 0.9
    shuffled = np.random.default_rng(0).permutation(digits.test.labels)
    assert scores(pixels, shuffled).neighbours < 0.2


# t-SNE


def test_tsne_is_that_of_the_report(monkeypatch):
    given = {}

    class Spy:
        def __init__(self, *args, **options):
            given.update(options, components=args)

        def fit_transform(self, values):
            return values[:, :2]

    monkeypatch.setattr("sklearn.manifold.TSNE", Spy)
    tsne(np.zeros((50, 3)))
    assert given == {"components": (2,), "perplexity": 40, "max_iter": 2500, "init": "pca", "random_state": 3136}
    start = np.random.default_rng(0).normal(5, 100, (50, 2))
    tsne(np.zeros((50, 3)), start)
    assert given["early_exaggeration"] == 1
    np.testing.assert_allclose(given["init"], start, rtol=1e-6)


def test_tsne_keeps_neighbours_together(digits):
    pixels = digits.test.images[::2, ::4, ::4, 0].reshape(180, -1).astype(np.float32)
    first = tsne(pixels)
    assert first.shape == (180, 2)
    assert trustworthiness(pixels, first, n_neighbors=10) > 0.95
    assert np.array_equal(first, tsne(pixels))


def test_tsne_keeps_the_arrangement_of_its_start(digits):
    pixels = digits.test.images[::2, ::4, ::4, 0].reshape(180, -1).astype(np.float32)
    first = tsne(pixels)
    turned = first @ np.array([[0.0, 1.0], [-1.0, 0.0]])

    def likeness(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef((a - a.mean(0)).ravel(), (b - b.mean(0)).ravel())[0, 1])

    assert likeness(tsne(pixels, turned), turned) > 0.95
    assert likeness(first, turned) < 0.5


# What is kept on disk


def test_what_is_computed_once_is_read_from_then_on(tmp_path):
    arrays = {"a": np.arange(6).reshape(2, 3), "b": np.float64(0.5)}
    calls = []

    def compute() -> dict:
        calls.append(1)
        return arrays

    for _ in range(2):
        found = cached(tmp_path / "cache", "thing", {"of": 1}, compute)
        assert found.keys() == arrays.keys()
        assert all(np.array_equal(found[name], value) for name, value in arrays.items())
    assert len(calls) == 1
    cached(tmp_path / "cache", "thing", {"of": 2}, compute)
    cached(tmp_path / "cache", "other", {"of": 1}, compute)
    assert len(calls) == 3
    assert len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize("damage", [b"", b"no archive", "cut"])
def test_a_damaged_file_is_named_and_left(damage, tmp_path):
    cached(tmp_path, "thing", {}, lambda: {"a": np.arange(1000)})
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-30] if damage == "cut" else damage)
    with pytest.raises(OutputError, match=rf"{path.name} is damaged .*; delete it"):
        cached(tmp_path, "thing", {}, lambda: {})


def test_nothing_is_unpickled(tmp_path):
    cached(tmp_path, "thing", {}, lambda: {"a": np.zeros(1)})
    (path,) = tmp_path.iterdir()
    np.savez(path, a=np.array([{}], dtype=object))
    with pytest.raises(OutputError, match="damaged"):
        cached(tmp_path, "thing", {}, lambda: {})


def test_weights_are_told_apart_by_content(tmp_path):
    for name, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / name).write_bytes(content)
    assert file_digest(tmp_path / "a") == file_digest(tmp_path / "b") != file_digest(tmp_path / "c")
    with pytest.raises(WeightsError, match="delete the folder"):
        file_digest(tmp_path / "missing")


# The experiment, on runs that were never trained


def history(epochs: int, best: int) -> list[dict]:
    records = []
    for i in range(epochs):
        metrics = {"loss": 1.0, "accuracy": 0.9 if i == best else 0.5}
        records.append({"epoch": i, "train": metrics, "validation": metrics, "images_per_second": 1.0})
    return records


def fabricate(options: Options, epochs: int, best: int, seed: int = 3136) -> Run:
    """Return a run of the tuned model, made small, with the weights that it would have kept, each drawn anew."""
    config = options.tuned(model=TINY, seed=seed)
    folder = options.folder("runs") / run_name(config)
    folder.mkdir(parents=True)
    records = history(epochs, best)
    for i, name in enumerate(weight_names(config, records)):
        save_weights(folder / f"{name}.safetensors", CNN3(TINY), make_weights(CNN3(TINY), seed + i))
    record = records[best] if records else None
    summary = {
        "epochs": epochs,
        "best_epoch": best if records else None,
        **dict.fromkeys(("train", "validation", "test"), record and record["train"]),
        "images_per_second": 1.0 if records else None,
        "stopped": "epochs" if records else "diverged",
        "diverged": None if records else {"epoch": 0, "during": "training", "step": 0},
    }
    return Run(config, folder, records, summary)


def digits_options(output: Path, **changes) -> Options:
    return Options(dataset="digits", output=output, **changes)


def test_stages_are_those_that_the_run_kept(tmp_path):
    options = digits_options(tmp_path)
    space = Space(options, fabricate(options, 25, best=14))
    assert [(stage.name, stage.epochs) for stage in space.stages] == [
        ("initial", 0),
        ("epoch0", 1),
        ("epoch1", 2),
        ("epoch2", 3),
        ("epoch4", 5),
        ("epoch9", 10),
        ("epoch20", 21),
        ("best", 15),
    ]
    assert [stage.name for stage in shown(space.stages)] == ["initial", "epoch20", "best"]
    assert list(map(str, shown(space.stages))) == ["before training", "epoch 21", "best, epoch 15"]
    assert missing(space) == []


@pytest.mark.parametrize(
    ("epochs", "best", "names", "said"),
    [
        (7, 3, ["initial", "epoch4", "best"], "ended before epoch 21; the middle is epoch 5 instead"),
        (1, 0, ["initial", "epoch0", "best"], "ended before epoch 21; the middle is epoch 1 instead"),
        (0, 0, ["initial"], "diverged in its first epoch"),
    ],
)
def test_what_a_short_run_lacks_is_told(epochs, best, names, said, tmp_path):
    options = digits_options(tmp_path, epochs=max(epochs, 1))
    space = Space(options, fabricate(options, epochs, best))
    assert [stage.name for stage in shown(space.stages)] == names
    (note,) = missing(space)
    assert said in note


@pytest.fixture
def quick(monkeypatch, digits) -> list:
    """Replace t-SNE by the first two latent values, load the data once, and return where each map began."""
    starts = []

    def first_two(values: np.ndarray, start: np.ndarray | None = None) -> np.ndarray:
        starts.append(start)
        return values[:, :2]

    monkeypatch.setattr(experiment, "tsne", first_two)
    monkeypatch.setattr(experiment, "load", lambda *_: digits)
    return starts


def test_maps_and_scores_are_computed_once(quick, tmp_path, monkeypatch, digits):
    options = digits_options(tmp_path, epochs=2)
    run = fabricate(options, 2, best=0)
    space = Space(options, run)
    found = by_stage([{stage: space.scores(stage) for stage in space.stages}])
    drawn = figures(space, found)
    journey = space.journey()
    assert [stage.name for stage in journey] == ["initial", "epoch0", "best", "epoch1"]
    assert quick[:3] == [None] * 3  # initial, middle and best begin from the principal components
    assert quick[3] is None
    for start, before in zip(quick[4:], list(journey.values())[:-1], strict=True):
        assert np.array_equal(start, before)
    assert set(drawn) == {
        *("initial.png", "epoch1.png", "best.png", "side_by_side.png"),
        *("evolution.png", "evolution.gif", "separability.png"),
    }
    weights = cnn3.load_weights(run.folder / "epoch1.safetensors", CNN3(TINY))
    values = latents(CNN3(TINY), weights, digits.test.images)
    np.testing.assert_allclose(space.map(space.stages[2]), values[:, :2], rtol=1e-4, atol=1e-4)
    assert space.scores(space.stages[2]) == pytest.approx(scores(values, digits.test.labels))

    for name in ("tsne", "scores", "load", "load_weights"):
        monkeypatch.setattr(experiment, name, None)
    again = Space(options, run)
    assert by_stage([{stage: again.scores(stage) for stage in again.stages}]) == found
    assert set(figures(again, found)) == set(drawn)
    assert drawn["evolution.gif"] == figures(again, found)["evolution.gif"]


def test_other_weights_are_computed_anew(quick, tmp_path):
    options = digits_options(tmp_path, epochs=1)
    run = fabricate(options, 1, best=0)
    before = Space(options, run).map(Stage("best", 1))
    save_weights(run.folder / "best.safetensors", CNN3(TINY), make_weights(CNN3(TINY), 99))
    assert not np.array_equal(Space(options, run).map(Stage("best", 1)), before)


def test_the_published_protocol_takes_all_but_the_best_in_training_mode(quick, tmp_path, digits):
    for protocol in PROTOCOLS:
        options = digits_options(tmp_path, epochs=1, protocol=protocol)
        run = fabricate(options, 1, best=0)
        space = Space(options, run)
        model = CNN3(TINY, protocol == "published")
        for stage in space.stages:
            weights = cnn3.load_weights(run.folder / f"{stage.name}.safetensors", model)
            training = protocol == "published" and stage.name != "best"
            values = latents(model, weights, digits.test.images, training_mode=training)
            np.testing.assert_allclose(space.map(stage), values[:, :2], rtol=1e-3, atol=2e-4)
        said = " ".join(notes(options, space))
        assert ("in training mode" in said) == (protocol == "published")


def test_seeds_are_summed_up_by_stage(tmp_path):
    first = {Stage("initial", 0): latent.Scores(0.1, 0.2, 0.0), Stage("best", 3): latent.Scores(0.7, 0.8, 0.3)}
    second = {
        Stage("initial", 0): latent.Scores(0.3, 0.2, -0.1),
        Stage("epoch4", 5): latent.Scores(0.5, 0.5, 0.1),
        Stage("best", 7): latent.Scores(0.9, 0.8, 0.5),
    }
    found = by_stage([first, second])
    assert separability_table(found).rows == [
        ["before training", "0.2000 ± 0.1414", "0.2000 ± 0.0000", "-0.0500 ± 0.0707"],
        ["epoch 5", "0.5000 (1 of 2)", "0.5000 (1 of 2)", "0.1000 (1 of 2)"],
        ["best", "0.8000 ± 0.1414", "0.8000 ± 0.0000", "0.4000 ± 0.1414"],
    ]
    told = json.loads(json.dumps(to_json(found), allow_nan=False))
    assert [stage["stage"] for stage in told] == ["initial", "epoch4", "best"]
    assert told[1]["seeds"] == [None, {"epochs": 5, "neighbours": 0.5, "probe": 0.5, "silhouette": 0.1}]
    figure = experiment.separability(found, "digits")
    assert "2 seeds" in figure.get_suptitle()
    line = figure.axes[0].lines[0]
    assert list(np.asarray(line.get_xdata())) == [0, 5, 5]
    np.testing.assert_allclose(np.asarray(line.get_ydata()), [0.2, 0.5, 0.8])


def test_the_reports_words_stand_beside_its_own_data_alone(tmp_path):
    options = digits_options(tmp_path, epochs=1)
    space = Space(options, fabricate(options, 1, best=0))
    assert "better representations" not in " ".join(notes(options, space))
    assert "better representations" in " ".join(notes(Options(), space))


# Figures


def test_colours_of_classes_stay_apart_for_red_green_blind_readers():
    """Colours are as far apart (CIE76) as Okabe and Ito's own, in simulations by G. Machado et al., 2009, table 1."""
    protanopia = [(0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)]
    deuteranopia = [(0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)]
    simulations = [np.eye(3), np.array(protanopia), np.array(deuteranopia)]

    def lab(color: str, simulation: np.ndarray) -> np.ndarray:
        srgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
        xyz = to_xyz @ np.clip(simulation @ linear, 0, 1) / [0.9505, 1, 1.089]
        f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    def nearest(colors: tuple[str, ...]) -> float:
        seen = [[lab(color, matrix) for color in colors] for matrix in simulations]
        return min(float(np.linalg.norm(a - b)) for of in seen for a, b in combinations(of, 2))

    assert len(set(plots.CLASS_COLORS)) == 10
    assert nearest(plots.CLASS_COLORS) == nearest(plots.COLORS) > 15


def names_in(figure: Figure, panel: int = 0) -> set[str]:
    return {text.get_text() for text in figure.axes[panel].texts}


def test_a_class_is_named_where_it_has_a_place_of_its_own():
    classes = ["a", "b", "c"]
    points, labels = clusters(30, count=300)
    figure = plots.latent_map(points[:, :2], labels, classes, "Map")
    (dots,) = figure.axes[0].collections
    assert np.allclose(dots.get_offsets(), points[:, :2])
    assert names_in(figure) == {"a", "b", "c"}
    for text in figure.axes[0].texts:
        own = points[labels == classes.index(text.get_text()), :2]
        assert np.abs(np.array(text.get_position()) - np.median(own, 0)).max() < 1
    mixed, labels = clusters(0, count=300)
    assert names_in(plots.latent_map(mixed[:, :2], labels, classes, "Map")) == set()
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == classes


def test_maps_side_by_side_are_of_one_size_each_under_its_heading():
    points, labels = clusters(30, count=300)
    maps = {f"stage {i}": points[:200, i : i + 2] * (1, i + 1) for i in range(4)}
    figure = plots.latent_maps(maps, labels, ["a", "b", "c"], "All", 3)
    figure.draw_without_rendering()
    assert [axes.get_title() for axes in figure.axes[:4]] == list(maps)
    assert [axes.axison for axes in figure.axes] == [True] * 4 + [False] * 2
    sizes = {tuple(np.round(axes.get_window_extent().size)) for axes in figure.axes[:4]}
    assert len(sizes) == 1


def test_the_animation_moves_from_map_to_map():
    points, labels = clusters(30, count=300)
    maps = {"one": points[:, :2], "two": points[:, 1:3], "three": points[:, 2:4]}
    with Image.open(io.BytesIO(plots.animation(maps, labels, ["a", "b", "c"]))) as image:
        assert image.format == "GIF"
        assert image.info["loop"] == 0
        frames = []
        for i in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(i)
            frames.append((np.asarray(image.convert("RGB")), image.info["duration"]))
    still = [i for i, (_, milliseconds) in enumerate(frames) if milliseconds > 1000]
    assert len(still) == 3
    assert still[0] == 0
    assert still[-1] == len(frames) - 1
    assert len(frames) > 10
    assert all(not np.array_equal(frames[a][0], frames[b][0]) for a, b in combinations(still, 2))
    for color in plots.CLASS_COLORS[:3]:
        wanted = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(frames[-1][0].astype(int) - wanted).max(-1).min() <= 8


# The command


def test_from_the_command_line_to_the_files(tmp_path, monkeypatch, capsys):
    given = ["--dataset", "digits", "--limit", "128", "--epochs", "1", "--output", str(tmp_path)]
    quick_to_compile = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "experiments.latent", *given],
        cwd=ROOT,
        env=quick_to_compile,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "digits" / "latent"
    pictures = {"initial.png", "epoch0.png", "best.png", "side_by_side.png", "evolution.png", "separability.png"}
    assert {path.name for path in folder.iterdir()} == pictures | {
        *("evolution.gif", "summary.json", "table.md", "cache")
    }
    summary = json.loads((folder / "summary.json").read_text())
    (row,) = summary["rows"]
    assert RunConfig.from_json(json.dumps(row["config"])).snapshots[0] == 0
    assert [stage["stage"] for stage in row["latent"]] == ["initial", "epoch0", "best"]
    text = (folder / "table.md").read_text()
    for stage, name in zip(row["latent"], ("before training", "epoch 1", "best, epoch 1"), strict=True):
        ((one),) = stage["seeds"]
        numbers = " | ".join(f"{one[score]:.4f}" for score in ("neighbours", "probe", "silhouette"))
        assert f"| {name} | {numbers} |" in text
    assert "the middle is epoch 1 instead" in text
    assert "The report has no numbers of digits" in text

    for name in ("tsne", "scores", "load"):
        monkeypatch.setattr(experiment, name, None)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main(given) == 0
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert "1 of 1 runs are done" in capsys.readouterr().out
