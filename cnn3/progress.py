"""How a run shows that it lives: a bar on a terminal, a line an epoch in a log file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Report = Callable[[dict[str, Any]], None]


def describe(record: dict[str, Any]) -> str:
    """Return an epoch's record in words."""
    train, validation = record["train"], record["validation"]
    return (
        f"train loss {train['loss']:.4f} accuracy {train['accuracy']:.4f}, "
        f"validation loss {validation['loss']:.4f} accuracy {validation['accuracy']:.4f}, "
        f"{record['images_per_second']:.0f} images/s"
    )


@contextmanager
def show(label: str, done: int, epochs: int, console: Console | None = None) -> Iterator[Report]:
    """Show a run of at most `epochs` epochs, `done` of which lie behind it; yields what takes each epoch's record."""
    console = console or Console()
    shown = _bar if console.is_terminal else _lines
    with shown(console, label, done, epochs) as report:
        yield report


def time_left(seconds: float, epochs: int) -> str:
    """Return the time that so many epochs take, for a reader."""
    return f"at most {timedelta(seconds=round(seconds * epochs))} left"


@contextmanager
def _bar(console: Console, label: str, done: int, epochs: int) -> Iterator[Report]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    text = TextColumn("{task.fields[text]}")
    with Progress(*columns, text, console=console) as progress:
        task = progress.add_task(label, total=epochs, completed=done, text="compiling")

        def report(record: dict[str, Any]) -> None:
            left = time_left(record["seconds"], epochs - record["epoch"] - 1)
            train, validation = record["train"], record["validation"]
            text = (
                f"loss {train['loss']:.3f}/{validation['loss']:.3f} "
                f"accuracy {train['accuracy']:.3f}/{validation['accuracy']:.3f} "
                f"{record['images_per_second']:.0f} images/s, {left}"
            )
            progress.update(task, completed=record["epoch"] + 1, text=text)

        yield report


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
    yield report
