"""The answer that opens the report: the verdicts, what they rest on, and one picture of ours beside theirs."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from cnn3.plots import Beside
from experiments.common import Options, Run
from experiments.machines import devices, record
from experiments.names import number_of, shown
from experiments.printed import NUMBERS
from experiments.publish import Report
from experiments.rules import Printed
from experiments.tables import Row
from experiments.verdict_tables import interval, sample
from experiments.verdicts import Verdict, judge_all

Reports = Mapping[str, Report]  # by experiment


def apart(options: Options, images: str) -> str:
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


def compute(runs: Sequence[Run]) -> str:
    """Return in a sentence what the runs took."""
    if not runs:
        return "Nothing has been trained for it."
    epochs = sum(len(run.history) for run in runs)
    hours = sum(of["seconds"] for run in runs for of in run.history) / 3600
    seeds = len({run.config.seed for run in runs})
    return (
        f"This rests on {number_of(len(runs), 'run')} with {number_of(seeds, 'seed')}: {number_of(epochs, 'epoch')}, "
        f"{hours:.1f} hours of training and validation, added up over runs that may have shared a device. "
        f"Device: {devices(record(run.folder) for run in runs)}."
    )


def glance(reports: Reports, judged: Sequence[Verdict]) -> dict[str, Beside]:
    """Return test accuracies, and the validation accuracies of figure 15, for a picture: theirs made comparable."""
    full = {verdict.claim.id for verdict in judged if verdict.outcome is not None}
    picture = {}
    for claim in NUMBERS:
        rule = claim.rule
        if not isinstance(rule, Printed) or rule.metric != "accuracy" or claim.where == "section 8":
            continue
        if rule.split == "test" or claim.experiment == "hyperparameters":
            values = sample(reports[claim.experiment].rows, rule) if claim.id in full else []
            mean = fmean(values) if values else None
            picture[f"{shown(rule.row)} ({rule.split})"] = Beside(mean, interval(values), rule.target)
    return picture


def measured_glance(reports: Reports) -> dict[str, Beside]:
    """Return the test accuracies of all rows, for a picture on a data set that the original study does not have."""
    values = {
        row.name: [run.summary["test"]["accuracy"] for run in row.runs if run.summary["test"]]
        for report in reports.values()
        for row in report.rows
    }
    return {shown(name): Beside(fmean(of), interval(of), None) for name, of in values.items() if of}
