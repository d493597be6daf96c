"""The progress display of a run: bars in a terminal or a notebook, else a line on standard error for each epoch."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cnn3.runs.step_watcher import StepCallback


class ProgressCallbacks(NamedTuple):
    """What a run calls: `on_epoch` with each epoch's record, `on_step`, unless None, at each step of an epoch."""

    on_epoch: Callable[[dict[str, Any]], None]
    on_step: StepCallback | None = None


NOTEBOOK_SECONDS = 0.25  # between two changes of a notebook's output
REFRESHES_PER_SECOND = 4  # of a terminal; 10, the default, take 1.7% of two cores; 4 take 0.8%

ProgressReporter = Callable[[str, int, int], AbstractContextManager[ProgressCallbacks]]  # as `progress_reporter`


class ProgressDisplay(NamedTuple):
    """A display of several runs."""

    show_run: ProgressReporter  # shows one of them
    end_run: Callable[[], None]  # counts one of them as ended
    shows_steps: bool


def format_epoch(record: dict[str, Any]) -> str:
    """Return an epoch's record as text."""
    train, validation = record["train"], record["validation"]
    return (
        f"train loss {train['loss']:.4f} accuracy {train['accuracy']:.4f}, "
        f"validation loss {validation['loss']:.4f} accuracy {validation['accuracy']:.4f}, "
        f"{record['images_per_second']:.0f} images/s"
    )


class NotebookProgress(Progress):
    """Bars as one output of a notebook's cell, which is replaced as they move.

    rich's own need ipywidgets there, and print a new block for each change without it.
    """

    def start(self) -> None:
        """Show the bars."""
        from IPython.display import display  # type: ignore[import-not-found]

        self._handle: Any = display(self, display_id=True)
        self._shown = time.monotonic()

    def refresh(self) -> None:
        """Show the bars as they are, unless that was done a moment ago."""
        if time.monotonic() - self._shown >= NOTEBOOK_SECONDS:
            self._shown = time.monotonic()
            self._handle.update(self)

    def stop(self) -> None:
        """Show the bars for the last time."""
        self._handle.update(self)

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Change a bar, and show it."""
        super().update(*args, **kwargs)
        self.refresh()


@contextmanager
def progress_reporter(
    label: str, done: int, epochs: int, console: Console | None = None
) -> Iterator[ProgressCallbacks]:
    """Show a run of at most `epochs` epochs, `done` of them done already; yields its callbacks."""
    with progress_display(console) as display, display.show_run(label, done, epochs) as callbacks:
        yield callbacks


@contextmanager
def progress_display(console: Console | None = None, total: int | None = None) -> Iterator[ProgressDisplay]:
    """Yield a display of several runs at a time; it counts those that have ended if their total is given."""
    console = console or Console(stderr=True)
    if not (console.is_terminal or console.is_jupyter):
        yield ProgressDisplay(partial(_lines, console), lambda: None, False)
        return
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(None), MofNCompleteColumn()
    columns = *columns, TimeElapsedColumn(), TextColumn("{task.fields[text]}")
    progress = (
        NotebookProgress(*columns[1:])
        if console.is_jupyter
        else Progress(*columns, console=console, refresh_per_second=REFRESHES_PER_SECOND)
    )
    with progress:
        runs = progress.add_task("all runs", total=total, visible=total is not None, text="")
        yield ProgressDisplay(partial(_bars, progress, total is None), lambda: progress.advance(runs), True)


def time_left(seconds: float, epochs: float) -> str:
    """Return, as text, the time that this many epochs take at these seconds per epoch."""
    return f"at most {timedelta(seconds=round(seconds * epochs))} left"


def with_time_left(text: str, seconds: float, epochs: int) -> str:
    """Return a text about an epoch, followed by the time left unless the epoch was the last."""
    return f"{text}, {time_left(seconds, epochs)}" if epochs else text


@contextmanager
def _bars(progress: Progress, stays: bool, label: str, done: int, epochs: int) -> Iterator[ProgressCallbacks]:
    """Show a bar for the run, and one for the steps of the current epoch once they are reported.

    In the end the run's bar stays, or becomes a line above the bars of other runs.
    """
    run = progress.add_task(label, total=epochs, completed=done, text="compiling")
    steps_bar = progress.add_task("", total=None, visible=False, text="")
    seconds: float | None = None  # of the last epoch
    numbers = ""  # of the last epoch
    start = 0.0  # of the current epoch

    def on_epoch(record: dict[str, Any]) -> None:
        nonlocal done, seconds, numbers
        done, seconds = record["epoch"] + 1, record["seconds"]
        train, validation = record["train"], record["validation"]
        numbers = (
            f"loss {train['loss']:.3f}/{validation['loss']:.3f} "
            f"accuracy {train['accuracy']:.3f}/{validation['accuracy']:.3f} "
            f"{record['images_per_second']:.0f} images/s"
        )
        progress.update(run, completed=done, text=with_time_left(numbers, record["seconds"], epochs - done))

    def on_step(step: int, steps: int) -> None:
        nonlocal start
        if step == 0:
            start = time.perf_counter()
            progress.reset(steps_bar, total=steps, visible=True, description=f"epoch {done + 1}", text="steps")
        progress.update(steps_bar, completed=step, text="validating" if step == steps else "steps")
        if seconds is None:
            fraction = step / steps
            text = "first step"
            if step:
                text = time_left((time.perf_counter() - start) / fraction, epochs - done - fraction)
            progress.update(run, text=text)

    yield ProgressCallbacks(on_epoch, on_step)
    progress.remove_task(steps_bar)
    if not stays:
        progress.remove_task(run)
        line = " ".join(filter(None, (f"{label}: {done}/{epochs}", numbers)))
        progress.console.print(line, soft_wrap=True, markup=False, highlight=False)


@contextmanager
def _lines(console: Console, label: str, done: int, epochs: int) -> Iterator[ProgressCallbacks]:
    """Print a line at the start and after each epoch."""

    def log(text: str) -> None:
        console.print(f"{label}: {text}", soft_wrap=True, markup=False, highlight=False)

    def on_epoch(record: dict[str, Any]) -> None:
        number = record["epoch"] + 1
        text = f"epoch {number}/{epochs}: {format_epoch(record)}"
        log(with_time_left(text, record["seconds"], epochs - number))

    if done:
        log(f"resuming after epoch {done}/{epochs}")
    else:
        log(f"compiling, then at most {epochs} epoch{'s' * (epochs > 1)}")
    yield ProgressCallbacks(on_epoch)
