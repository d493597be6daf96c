"""Titles, and the files that figures are saved to."""

import io
from typing import Any

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from cnn3 import OutputError, plots
from tests.helpers.drawn import figure_subtitle, history, learning


@pytest.mark.parametrize("subtitle", ["short", "much longer words " * 20])
def test_title_and_subtitle_are_above_the_panels_and_within_the_figure(subtitle):
    figure = plots.curves([learning(9, 0)], "A title", subtitle)
    FigureCanvasAgg(figure).draw()
    (above,) = [text.get_window_extent() for text in figure.texts if text.get_text() == "A title"]
    (below,) = [text.get_window_extent() for text in figure.texts if text.get_text() != "A title"]
    assert above.y1 <= figure.bbox.y1
    assert max(above.x1, below.x1) <= figure.bbox.x1
    assert below.y1 <= above.y0 + 1
    assert all(axes.get_tightbbox().y1 <= below.y0 for axes in figure.axes)  # type: ignore[union-attr]
    assert figure_subtitle(figure) == subtitle.strip()


def test_saved_figures_are_sharp_and_small(tmp_path):
    named = {name: [learning(150, i) for i in range(3)] for name in ("baseline", "batch norm", "dropout", "dense")}
    for name, figure in {
        "curves": plots.curves([learning(150, 0)], "Loss", "How"),
        "comparison": plots.comparison(named, ("accuracy", "loss"), "All"),
    }.items():
        path = tmp_path / f"{name}.png"
        plots.save(figure, path)
        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            width, height = figure.get_size_inches()
            assert image.format == "PNG"
            assert image.size == (round(width * plots.DPI), round(height * plots.DPI))
            assert image.info["dpi"] == pytest.approx((plots.DPI, plots.DPI), abs=0.1)
            assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
            counted: Any = image.convert("RGB").getcolors(2**24)
            _, (_, grid), *_ = sorted(counted, reverse=True)  # the most frequent colours
            present = {color for _, color in counted}
        assert _nearest(present, plots.VALIDATION) == 0
        assert _nearest(present, plots.TRAIN) == 0
        assert len(set(grid)) == 1  # grey, as it was drawn
        assert len(content) < 200_000
        plots.save(figure, path)
        assert path.read_bytes() == content


def _nearest(colors: set, expected: str) -> int:
    """Return the distance of the nearest colour from a hexadecimal one, in its worst channel."""
    target = [int(expected[i : i + 2], 16) for i in (1, 3, 5)]
    return min(max(abs(a - b) for a, b in zip(color, target, strict=True)) for color in colors)


def test_an_unwritable_path_is_named_in_the_error(tmp_path):
    with pytest.raises(OutputError, match=r"a\.png"):
        plots.save(plots.curves([history(1)], ""), tmp_path / "missing" / "a.png")
