"""The answer that opens the report: the verdicts, what they rest on, and one picture of ours beside theirs."""

from collections.abc import Mapping, Sequence

from experiments.support.machines import devices
from experiments.support.names import number_of
from experiments.support.options import Options
from experiments.support.publish import Report
from experiments.support.runner import Run
from experiments.support.tables import Row
from experiments.support.verdicts import Verdict, judge_all

Reports = Mapping[str, Report]  # by experiment


def runs_told_apart(options: Options, images: str) -> str:
    """Return what else separates our runs from theirs, by what is known of our images."""
    causes = [
        *(["our images went through JPEG once"] if "JPEG" in images else []),
        *(["it validates in training mode, ours in inference mode"] if options.protocol == "corrected" else []),
        "it has a single seed, of another random generator",
    ]
    return f"What else separates its runs from ours: {'; '.join(causes)}."


def rows_of(reports: Reports) -> dict[str, Sequence[Row]]:
    """Return the rows of each experiment."""
    return {name: report.rows for name, report in reports.items()}


def verdicts(reports: Reports) -> list[Verdict]:
    """Return the verdict on each claim of the original study."""
    return judge_all(rows_of(reports))


def runs_of(reports: Reports) -> list[Run]:
    """Return every run once; several experiments share some."""
    runs = {run.config: run for report in reports.values() for row in report.rows for run in row.runs}
    return list(runs.values())


def compute_used(runs: Sequence[Run]) -> str:
    """Return in a sentence what the runs took."""
    if not runs:
        return "Nothing has been trained for it."
    epochs = sum(len(run.history) for run in runs)
    hours = sum(of["seconds"] for run in runs for of in run.history) / 3600
    seeds = len({run.config.seed for run in runs})
    return (
        f"This rests on {number_of(len(runs), 'run')} with {number_of(seeds, 'seed')}: {number_of(epochs, 'epoch')}, "
        f"{hours:.1f} hours of training and validation, added up over runs that may have shared a device. "
        f"Device: {devices(run.versions for run in runs)}."
    )
