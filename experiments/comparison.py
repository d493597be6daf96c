"""Every number and every statement of the report that states a result, beside what was measured."""

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from cnn3.fit import BEST, INITIAL
from experiments import architecture, hyperparameters, improvements, latent, optimizers, reported, tuned
from experiments.publish import Report
from experiments.reported import Statement
from experiments.tables import METRICS, NOTHING, SPLITS, Row, Table, measured, spread, words_table

LEVEL = 0.95
Reports = Mapping[str, Report]  # by experiment

INTERVAL = (
    f"The interval is the {LEVEL:.0%} confidence interval of the mean over the seeds, mean ± t s / √n: s is the sample "
    "standard deviation of the n seeds and t the quantile of Student's distribution with n - 1 degrees of freedom. It "
    "takes the seeds' results as independent and roughly normal; of one seed there is none. The report has one run of "
    "each, whose own spread is unknown."
)


class Number(NamedTuple):
    """A result that the report prints: where, what it is, and the run that it is of here."""

    source: str
    printed: float
    experiment: str
    row: str
    split: str
    metric: str

    def __str__(self) -> str:
        """Return what it is."""
        return f"{self.name}: {self.split} {self.metric}"

    @property
    def name(self) -> str:
        """Return what the run is called."""
        return self.row.replace("_", " ")


def numbers() -> list[Number]:
    """Return every result that the report prints in a table or in its text, in its order."""
    found = []
    for name, of in reported.IMPROVEMENTS.items():
        for split in SPLITS:
            metrics = getattr(of, split)
            found += [Number(of.source, getattr(metrics, m), improvements.NAME, name, split, m) for m in METRICS]
    for setting, accuracy in reported.HYPERPARAMETERS.items():
        row = hyperparameters.name(setting)
        found.append(Number("figure 15", accuracy, hyperparameters.NAME, row, "validation", "accuracy"))
    test = reported.TUNED.test
    assert test is not None
    found += [Number("section 5", getattr(test, m), tuned.NAME, tuned.NAME, "test", m) for m in METRICS]
    again = reported.BASELINE_TEST_ACCURACY["section 8"]
    found.append(Number("section 8", again, improvements.NAME, "baseline", "test", "accuracy"))
    found.append(Number("section 8", test.accuracy, tuned.NAME, tuned.NAME, "test", "accuracy"))
    return found


def row(reports: Reports, experiment: str, name: str) -> Row:
    """Return a row of an experiment."""
    return next(row for row in reports[experiment].rows if row.name == name)


class Measured(NamedTuple):
    """What was measured of a number over the seeds; None of no seed, and no interval of one."""

    mean: float | None
    interval: tuple[float, float] | None
    seeds: int


def measure(reports: Reports, number: Number) -> Measured:
    """Return what was measured of a number; a run that diverged in its first epoch has none."""
    summaries = [run.summary[number.split] for run in row(reports, number.experiment, number.row).runs]
    found = [of[number.metric] for of in summaries if of]
    return Measured(fmean(found) if found else None, interval(found), len(found))


def interval(sample: Sequence[float]) -> tuple[float, float] | None:
    """Return the confidence interval of the mean by Student's t, None of fewer than two values."""
    if len(sample) < 2:
        return None
    half = student.ppf((1 + LEVEL) / 2, len(sample) - 1) * stdev(sample) / len(sample) ** 0.5
    return fmean(sample) - half, fmean(sample) + half


def numbers_table(reports: Reports, comparable: bool) -> Table:
    """Return each of the report's results beside the mean measured, its interval and the number of seeds."""
    header = ["result", "the report's", "here", "difference", "95% interval", "seeds", "where"]
    lines = []
    for number in numbers():
        mean, between, seeds = measure(reports, number)
        ours = NOTHING if mean is None else f"{mean:.4f}"
        difference = NOTHING if mean is None or not comparable else f"{mean - number.printed:+.4f}"
        ends = f"{between[0]:.4f} to {between[1]:.4f}" if between else NOTHING
        lines.append([str(number), str(number.printed), ours, difference, ends, str(seeds), number.source])
    return Table(header, lines, 1)


def statements_table(reports: Reports) -> Table:
    """Return what the report says of its results, and what was measured of each."""
    runs = {of.name: of.runs for of in reports[optimizers.NAME].rows}
    found = optimizers.counterparts(runs)
    groups = architecture.grouped({of.name: of for of in reports[architecture.NAME].rows})
    words = [("architecture", of, architecture.accuracies(groups[key])) for key, of in said(reported.ARCHITECTURE)]
    words += [(name, of, found[name, of.section]) for name, of in said(reported.OPTIMIZERS)]
    words += [("latent space", reported.LATENT, latent_words(reports[latent.NAME].rows[0]))]
    words += [(name.replace("_", " "), of, conclusion(reports, name)) for name, of in reported.CONCLUSIONS.items()]
    return words_table(words, "of")


def said(of: Mapping[str, Sequence[Statement]]) -> list[tuple[str, Statement]]:
    """Return statements with what they are of."""
    return [(name, statement) for name, statements in of.items() for statement in statements]


def conclusion(reports: Reports, name: str) -> str:
    """Return what was measured of a conclusion of section 8."""
    if name == "tuned":
        return test_accuracy(row(reports, tuned.NAME, tuned.NAME))
    if name == "combinations":
        groups = architecture.grouped({of.name: of for of in reports[architecture.NAME].rows})
        return architecture.accuracies(groups["improvements"])
    of = row(reports, improvements.NAME, name)
    baseline = row(reports, improvements.NAME, "baseline")
    return test_accuracy(of) if name == "baseline" else f"{test_accuracy(of)}; {gain(of, baseline)}"


def test_accuracy(of: Row) -> str:
    """Return a row's test accuracy in words."""
    return f"test accuracy {measured(of.runs, 'test', 'accuracy')}"


def gain(of: Row, than: Row) -> str:
    """Return in words by how many points a row's test accuracy lies above another's, seed by seed."""
    pairs = zip(of.runs, than.runs, strict=True)
    tests = [(run.summary["test"], other.summary["test"]) for run, other in pairs]
    points = [100 * (ours["accuracy"] - theirs["accuracy"]) for ours, theirs in tests if ours and theirs]
    return f"{spread(points, 2)} points above the {than.name}'s"


def latent_words(of: Row) -> str:
    """Return in words how separability grew over training."""
    stages = {stage["stage"]: [seed for seed in stage["seeds"] if seed] for stage in of.more["latent"]}
    ends = [stages[name] for name in (INITIAL, BEST) if name in stages]
    means = {
        title: " to ".join(f"{np.mean([seed[field] for seed in seeds]):.4f}" for seeds in ends)
        for field, title in latent.SCORES.items()
    }
    return "before training to best epoch: " + "; ".join(f"{title} {change}" for title, change in means.items())
