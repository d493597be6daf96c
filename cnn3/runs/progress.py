"""How a run shows that it lives: bars on a terminal, a line an epoch in a log file."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cnn3.runs.step_watcher import Steps


class Report(NamedTuple):
    """What a run tells of itself: `epoch` takes each epoch's record, `steps` how far an epoch is, or is not wanted."""

    epoch: Callable[[dict[str, Any]], None]
    steps: Steps | None = None


ProgressReporter = Callable[[str, int, int], AbstractContextManager[Report]]  # as `show`


class Shown(NamedTuple):
    """What shows several runs: `run` one of them, `end` that one has ended; `steps` tells whether it shows steps."""

    run: ProgressReporter
    end: Callable[[], None]
    steps: bool


def describe(record: dict[str, Any]) -> str:
    """Return an epoch's record in words."""
    train, validation = record["train"], record["validation"]
    return (
        f"train loss {train['loss']:.4f} accuracy {train['accuracy']:.4f}, "
        f"validation loss {validation['loss']:.4f} accuracy {validation['accuracy']:.4f}, "
        f"{record['images_per_second']:.0f} images/s"
    )


@contextmanager
def reporter(label: str, done: int, epochs: int, console: Console | None = None) -> Iterator[Report]:
    """Show a run of at most `epochs` epochs, `done` of which lie behind it; yields what it tells of itself."""
    with shown(console) as display, display.run(label, done, epochs) as report:
        yield report


@contextmanager
def shown(console: Console | None = None, total: int | None = None) -> Iterator[Shown]:
    """Yield what shows several runs at a time, and of a total that is given how many have ended."""
    console = console or Console()
    if not console.is_terminal:
        yield Shown(partial(_lines, console), lambda: None, False)
        return
    counts = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn()
    with Progress(*counts, TimeElapsedColumn(), TextColumn("{task.fields[text]}"), console=console) as progress:
        runs = progress.add_task("all runs", total=total, visible=total is not None, text="")
        yield Shown(partial(_bars, progress, total is None), lambda: progress.advance(runs), True)


def time_left(seconds: float, epochs: float) -> str:
    """Return the time that so many epochs take, for a reader."""
    return f"at most {timedelta(seconds=round(seconds * epochs))} left"


@contextmanager
def _bars(progress: Progress, stays: bool, label: str, done: int, epochs: int) -> Iterator[Report]:
    """Show a bar of the run, and one of the steps of the epoch in progress once they are told of.

    In the end the run's bar stays, or becomes a line above those of other runs.
    """
    run = progress.add_task(label, total=epochs, completed=done, text="compiling")
    epoch = progress.add_task("", total=None, visible=False, text="")
    seconds: float | None = None  # of the last epoch
    numbers = ""  # its
    begun = 0.0  # the epoch in progress

    def report_epoch(record: dict[str, Any]) -> None:
        nonlocal done, seconds, numbers
        done, seconds = record["epoch"] + 1, record["seconds"]
        train, validation = record["train"], record["validation"]
        numbers = (
            f"loss {train['loss']:.3f}/{validation['loss']:.3f} "
            f"accuracy {train['accuracy']:.3f}/{validation['accuracy']:.3f} "
            f"{record['images_per_second']:.0f} images/s"
        )
        progress.update(run, completed=done, text=f"{numbers}, {time_left(record['seconds'], epochs - done)}")

    def report_steps(step: int, steps: int) -> None:
        nonlocal begun
        if step == 0:
            begun = time.perf_counter()
            progress.reset(epoch, total=steps, visible=True, description=f"epoch {done + 1}", text="steps")
        progress.update(epoch, completed=step, text="validating" if step == steps else "steps")
        if seconds is None:
            part = step / steps
            left = time_left((time.perf_counter() - begun) / part, epochs - done - part) if step else "first step"
            progress.update(run, text=left)

    yield Report(report_epoch, report_steps)
    progress.remove_task(epoch)
    if not stays:
        progress.remove_task(run)
        said = " ".join(filter(None, (f"{label}: {done}/{epochs}", numbers)))
        progress.console.print(said, soft_wrap=True, highlight=False)


@contextmanager
def _lines(console: Console, label: str, done: int, epochs: int) -> Iterator[Report]:
    def say(text: str) -> None:
        console.print(f"{label}: {text}", soft_wrap=True, highlight=False)

    def report(record: dict[str, Any]) -> None:
        left = time_left(record["seconds"], epochs - record["epoch"] - 1)
        say(f"epoch {record['epoch'] + 1}/{epochs}: {describe(record)}, {left}")

    say(
        f"going on after epoch {done}/{epochs}"
        if done
        else f"compiling, then at most {epochs} epoch{'s' * (epochs > 1)}"
    )
    yield Report(report)
