"""Figures of the latent space."""

import io
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from cnn3 import plots
from cnn3.plots.label_placement import repel
from tests.helpers.drawn import figure_subtitle, legend, lines


def clusters(distance: float, count: int = 60, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return points around the corners of a simplex of this size, in random order, and their classes."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(count) % classes)
    return (rng.normal(size=(count, 8)) + distance * np.eye(10, 8)[labels]).astype(np.float32), labels


def test_red_green_blind_readers_can_distinguish_the_colours_of_classes():
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
        perceived = [[lab(color, matrix) for color in colors] for matrix in simulations]
        return min(float(np.linalg.norm(a - b)) for palette in perceived for a, b in combinations(palette, 2))

    assert len(set(plots.CLASS_COLORS)) == 10
    assert nearest(plots.CLASS_COLORS) == nearest(plots.COLORS) > 15


CLASSES = ["a", "a long name", "c"]


def name_positions(axes: Axes) -> dict[str, np.ndarray]:
    """Return the position of each class's name."""
    return {text.get_text(): np.array(text.get_position()) for text in axes.texts}


def test_a_class_is_named_at_the_median_of_its_points_if_there_is_room():
    points, labels = clusters(30, count=300)
    figure = plots.latent_maps({"": points[:, :2]}, labels, CLASSES, "Map", "How.")
    (dots,) = figure.axes[0].collections
    assert np.allclose(dots.get_offsets(), points[:, :2])
    positions = name_positions(figure.axes[0])
    assert list(positions) == CLASSES
    for name, position in positions.items():
        class_points = points[labels == CLASSES.index(name), :2]
        np.testing.assert_allclose(position, np.median(class_points, 0), rtol=1e-6)
    assert legend(figure) == CLASSES
    assert figure_subtitle(figure).startswith("How. A class's name stands at the median of its points")


@pytest.mark.parametrize("max_columns", [1, 3])
def test_names_of_overlapping_classes_are_moved_apart_with_lines_to_their_medians(max_columns):
    classes = [f"class {i}" for i in range(10)]
    points, labels = clusters(0, count=500, classes=10)
    figure = plots.latent_maps(
        {"one": points[:, :2], "two": points[:, 2:4]}, labels, classes, "Map", max_columns=max_columns
    )
    FigureCanvasAgg(figure).draw()
    for axes, embedding in zip(figure.axes, (points[:, :2], points[:, 2:4]), strict=True):
        assert set(name_positions(axes)) == set(classes)
        boxes = [text.get_window_extent() for text in axes.texts]
        assert all(not a.overlaps(b) for a, b in combinations(boxes, 2))
        assert all(axes.bbox.contains(*corner) for box in boxes for corner in (box.min, box.max))
        assert axes.lines
        medians = [np.median(embedding[labels == label], 0) for label in range(10)]
        for line in axes.lines:
            assert min(np.linalg.norm(line.get_xydata()[1] - median) for median in medians) < 1e-6  # type: ignore[index]


def test_a_class_without_points_has_no_name():
    points, labels = clusters(30, count=300)
    present = labels != 1
    figure = plots.latent_maps({"": points[present, :2]}, labels[present], CLASSES, "Map")
    assert set(name_positions(figure.axes[0])) == {"a", "c"}


def test_panels_fit_their_points_tightly():
    points, labels = clusters(30, count=300)
    maps = {"wide": points[:, :2] * (3, 1), "small": points[:, :2] / 100, "shifted": points[:, 1:3] + 500}
    figure = plots.latent_maps(maps, labels, CLASSES, "All")
    filled = []
    for axes, embedding in zip(figure.axes, maps.values(), strict=True):
        limits = np.array([axes.get_xlim(), axes.get_ylim()]).T
        assert (limits[0] <= embedding.min(0)).all()
        assert (embedding.max(0) <= limits[1]).all()
        filled.append(np.ptp(embedding, 0) / np.ptp(limits, 0))
        assert filled[-1].max() > 0.9
        assert axes.get_aspect() == 1


@given(
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=10),
    st.floats(0.2, 2),
    st.floats(0.2, 0.9),
)
def test_names_are_repelled_within_bounds(centres, width, height):
    sizes = np.tile([width, height], (len(centres), 1))
    positions = repel(np.array(centres), sizes, np.zeros(2), np.full(2, 10.0))
    assert (positions - sizes / 2 >= -1e-9).all()
    assert (positions + sizes / 2 <= 10 + 1e-9).all()
    for a, b in combinations(range(len(positions)), 2):
        assert (np.abs(positions[a] - positions[b]) >= (sizes[a] + sizes[b]) / 2 - 1e-6).any()


def test_names_that_do_not_overlap_stay():
    centres = np.array([(2.0, 2.0), (5.0, 2.0), (2.0, 4.0)])
    assert np.array_equal(repel(centres, np.full((3, 2), 1.5), np.zeros(2), np.full(2, 10.0)), centres)


def test_maps_side_by_side_have_the_same_size_and_their_own_heading():
    points, labels = clusters(30, count=300)
    maps = {f"stage {i}": points[:200, i % 4 : i % 4 + 2] * (1, i + 1) for i in range(5)}
    figure = plots.latent_maps(maps, labels, ["a", "b", "c"], "All", max_columns=3)
    figure.draw_without_rendering()
    assert [axes.get_title() for axes in figure.axes[:5]] == list(maps)
    assert [axes.axison for axes in figure.axes] == [True] * 5 + [False]
    sizes = {tuple(np.round(axes.get_window_extent().size)) for axes in figure.axes[:5]}
    assert len(sizes) == 1


def test_separability_is_drawn_by_epoch_and_the_kept_epoch_marked():
    values = {"probe": np.array([[0.4, 0.8, 0.6]]), "neighbours": np.array([[0.3, 0.7, 0.5]])}
    figure = plots.separability_curves([0, 71, 10], {"Accuracy": values}, 1, "Title", "How.")
    (axes,) = figure.axes
    assert lines(axes)["probe"] == ([0, 10, 71], [0.4, 0.6, 0.8])
    assert lines(axes)["neighbours"] == ([0, 10, 71], [0.3, 0.5, 0.7])
    kept_label = "kept epoch (highest validation accuracy)"
    assert lines(axes)[kept_label][0] == [71, 71]
    assert legend(figure) == ["probe", "neighbours", kept_label]
    assert axes.get_xlabel() == "Epochs trained (logarithmic from 1 on; 0 is before training)"
    assert axes.get_xlim()[0] < 0
    assert axes.get_xlim()[1] > 71
    assert figure_subtitle(figure) == "How."


def test_the_animation_moves_from_map_to_map():
    points, labels = clusters(30, count=300)
    maps = {"one": points[:, :2], "two": points[:, 1:3], "three": points[:, 2:4]}
    with Image.open(io.BytesIO(plots.latent_animation(maps, labels, ["a", "b", "c"], "Title", "On what"))) as image:
        assert image.format == "GIF"
        assert image.info["loop"] == 0
        frames = []
        for i in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(i)
            frames.append((np.asarray(image.convert("RGB")), image.info["duration"]))
    held = [i for i, (_, milliseconds) in enumerate(frames) if milliseconds > 1000]
    assert len(held) == 3
    assert held[0] == 0
    assert held[-1] == len(frames) - 1
    assert len(frames) > 10
    assert all(not np.array_equal(frames[a][0], frames[b][0]) for a, b in combinations(held, 2))
    for color in plots.CLASS_COLORS[:3]:
        rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
        assert np.abs(frames[-1][0].astype(int) - rgb).max(-1).min() <= 8
