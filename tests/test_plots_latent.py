"""Pictures of the latent space."""

import io
from itertools import combinations

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from cnn3 import plots


def clusters(distance: float, count: int = 60, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return points about the corners of a simplex so far apart, in no order of their classes, and their classes."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(count) % classes)
    return (rng.normal(size=(count, 8)) + distance * np.eye(8)[labels]).astype(np.float32), labels


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
    maps = {f"stage {i}": points[:200, i % 4 : i % 4 + 2] * (1, i + 1) for i in range(5)}
    figure = plots.latent_maps(maps, labels, ["a", "b", "c"], "All", 3)
    figure.draw_without_rendering()
    assert [axes.get_title() for axes in figure.axes[:5]] == list(maps)
    assert [axes.axison for axes in figure.axes] == [True] * 5 + [False]
    sizes = {tuple(np.round(axes.get_window_extent().size)) for axes in figure.axes[:5]}
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
