"""What a run shows of itself on a terminal and in a log file."""

import io
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from cnn3.runs import progress
from cnn3.runs.progress import progress_display, progress_reporter
from tests.helpers.fabricated import history


def screen(terminal: bool) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120)


def written(console: Console) -> str:
    """Return all that was ever on the console, without what colours it and moves the cursor."""
    assert isinstance(console.file, io.StringIO)
    return plain(console.file.getvalue())


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_a_log_file_gets_a_line_an_epoch_and_no_steps():
    console = screen(terminal=False)
    with progress_reporter("plain", 0, 2, console) as report:
        assert report.on_step is None
        for record in history([0.25, 0.5]):
            report.on_epoch(record)
    first, *epochs = written(console).splitlines()
    assert first == "plain: compiling, then at most 2 epochs"
    assert [line.split(", ")[0] for line in epochs] == [
        "plain: epoch 1/2: train loss 1.7500 accuracy 0.1250",
        "plain: epoch 2/2: train loss 1.5000 accuracy 0.2500",
    ]
    assert epochs[0].endswith("500 images/s, at most 0:00:02 left")
    assert epochs[1].endswith("500 images/s")  # no time is left


@pytest.mark.parametrize("terminal", [True, False])
def test_a_label_is_shown_as_it_is(terminal: bool):
    console = screen(terminal)
    label = "muon [wide] [/x]"
    with progress_display(console, total=1) as display, display.show_run(label, 0, 3):
        pass
    assert f"{label}: " in written(console)


def test_progress_is_not_among_the_results(capsys: pytest.CaptureFixture[str]):
    with progress_reporter("plain", 0, 1) as report:
        report.on_epoch(history([0.25])[0])
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("plain: compiling, then at most 1 epoch\nplain: epoch 1/1: ")


def test_a_terminal_shows_steps_and_a_time_left_within_the_first_epoch(monkeypatch: pytest.MonkeyPatch):
    clock = iter(range(0, 10**6, 30))  # seconds
    monkeypatch.setattr(progress.time, "perf_counter", lambda: float(next(clock)))
    console = screen(terminal=True)
    with progress_reporter("plain", 2, 12, console) as report:
        assert report.on_step is not None
        for step in (0, 50):
            report.on_step(step, 200)
        time.sleep(0.3)  # some refreshes
    text = written(console)
    assert re.search(r"plain .* 2/12 .* at most 0:19:30 left", text)  # 9.75 epochs of two minutes
    assert re.search(r"epoch 3 .* 50/200 .* steps", text)


def test_a_terminal_shows_the_last_epochs_numbers_and_its_time():
    console = screen(terminal=True)
    with progress_reporter("plain", 0, 3, console) as report:
        assert report.on_step is not None
        report.on_step(0, 10)
        report.on_step(10, 10)
        report.on_epoch(history([0.25])[0])
        report.on_step(0, 10)
        report.on_step(5, 10)
    text = written(console)
    assert "loss 1.750/0.750 accuracy 0.125/0.250 500 images/s, at most 0:00:04 left" in text


def test_of_several_runs_each_that_has_ended_becomes_a_line():
    console = screen(terminal=True)
    with progress_display(console, total=2) as display:
        with display.show_run("plain", 0, 3) as report, display.show_run("dense", 1, 3):
            report.on_epoch(history([0.25])[0])
        display.end_run()
    text = written(console)
    assert re.search(r"[\r\n]plain: 1/3 loss 1.750/0.750 accuracy 0.125/0.250 500 images/s\n", text)
    assert re.search(r"[\r\n]dense: 1/3\n", text)
    assert re.search(r"all runs .* 1/2", text)


def test_a_notebook_has_one_output_whose_bar_moves(monkeypatch: pytest.MonkeyPatch):
    """As IPython sees it: one call of `display`, and then updates of what that has shown."""
    ipython = pytest.importorskip("IPython.display")
    outputs: list[str] = []

    class Handle:
        def update(self, shown: Any) -> None:
            outputs.append(plain(shown._repr_mimebundle_([], [])["text/plain"]))

    calls = []
    monkeypatch.setattr(ipython, "display", lambda *shown, display_id: calls.append(shown) or Handle())
    monkeypatch.setattr(progress, "NOTEBOOK_SECONDS", 0.0)
    console = Console(file=io.StringIO(), force_jupyter=True, width=120)
    monkeypatch.setattr("rich.jupyter.get_console", lambda: console)
    with progress_reporter("plain", 0, 2, console) as report:
        for record in history([0.25, 0.5]):
            report.on_epoch(record)
    assert len(calls) == 1
    assert any(re.search(r"plain .* 1/2 ", text) for text in outputs)
    assert re.search(r"plain .* 2/2 .*accuracy 0.250/0.500", outputs[-1])


@pytest.mark.parametrize("jupyter", [True, False])
def test_an_interrupted_fit_leaves_a_display_that_goes_on(jupyter: bool, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("IPython.display")
    monkeypatch.setattr("IPython.display.display", lambda *_, **__: SimpleNamespace(update=lambda _: None))
    console = Console(file=io.StringIO(), force_jupyter=jupyter, force_terminal=not jupyter, width=120)
    monkeypatch.setattr("rich.jupyter.get_console", lambda: console)
    with pytest.raises(KeyboardInterrupt), progress_reporter("plain", 0, 2, console):
        raise KeyboardInterrupt
    with progress_reporter("plain", 0, 2, console) as report:
        report.on_epoch(history([0.25])[0])
