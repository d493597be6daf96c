"""The training hyperparameters (original study, section 5, figures 15 to 17).

Trains the batch norm model with Adam (L2 penalty 0.0003) at learning rates 0.01, 0.001 and 0.0001, each with batches of
64, 128 and 256 images, and selects the pair with the highest validation accuracy, averaged over the seeds. The test set
plays no part in the selection.
"""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("hyperparameters"))


from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import fmean

import numpy as np
from matplotlib.figure import Figure

from cnn3 import VARIANTS, OptimizerConfig, RunConfig, plots
from experiments.support import figures
from experiments.support.display_names import display_title
from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.reported import (
    HYPERPARAMETERS,
    TUNED,
    TUNED_SETTING,
    Accuracy,
    Reported,
    comparable,
    setting_name,
)
from experiments.support.run import Run, metric_values
from experiments.support.runner import run_all
from experiments.support.study import BATCH_SIZES, LEARNING_RATES
from experiments.support.tables import (
    MISSING,
    Row,
    Table,
    format_metric,
    reported_for,
    runs_table,
    table_notes,
    target_accuracy,
)
from experiments.support.verdicts import judge_experiment

NAME = "hyperparameters"
TITLE = "Training hyperparameters"

Setting = tuple[float, int]  # learning rate and batch size
GRID: tuple[Setting, ...] = tuple(product(LEARNING_RATES, BATCH_SIZES))


def hyperparameters(options: Options) -> Report:
    """Train the nine settings and return the report."""
    runs = run_all(options, NAME, {setting_name(*setting): config(options, setting) for setting in GRID})
    grid = {setting: runs[setting_name(*setting)] for setting in GRID}
    reported = reported_for(options, reported_settings())
    rows = [Row(setting_name(*setting), members, reported.get(setting)) for setting, members in grid.items()]
    best = select(grid)
    tables = {
        "Validation accuracy": grid_table(options, grid),
        "Selected setting": selected_table(options, grid, best),
        "Runs": runs_table(rows, "setting"),
    }
    verdicts = judge_experiment(options, NAME, rows)
    return Report(NAME, TITLE, rows, notes(options), tables, make_figures(options, grid, best), verdicts)


def config(options: Options, setting: Setting) -> RunConfig:
    """Return the run of a setting; the original study's selection is the tuned run, shared with other experiments."""
    if setting == TUNED_SETTING:
        return options.tuned()
    rate, batch_size = setting
    return options.config(model=VARIANTS["batch_norm"], optimizer=OptimizerConfig("adam", rate), batch_size=batch_size)


def reported_settings() -> dict[Setting, Reported]:
    """Return the original study's numbers for each setting."""
    cells = {
        (rate, size): Reported("figure 15", size, validation=Accuracy(value))
        for (rate, size), value in HYPERPARAMETERS.items()
    }
    return cells | {TUNED_SETTING: TUNED}


def mean_accuracy(runs: Sequence[Run]) -> float | None:
    """Return the mean validation accuracy of the runs of a setting, None if a run diverged in its first epoch."""
    values = metric_values(runs, "validation", "accuracy")
    return fmean(values) if len(values) == len(runs) else None


def select(grid: Mapping[Setting, Sequence[Run]]) -> Setting | None:
    """Return the first setting with the highest mean validation accuracy, None if no setting has a mean."""
    candidates = {setting: mean for setting, runs in grid.items() if (mean := mean_accuracy(runs)) is not None}
    return max(candidates, key=candidates.__getitem__) if candidates else None


def notes(options: Options) -> list[str]:
    """Return the notes that readers of the tables need."""
    return table_notes(options, "The original study's numbers are from figure 15 and from the text of section 5.")


def grid_table(options: Options, grid: Mapping[Setting, Sequence[Run]]) -> Table:
    """Return validation accuracy by learning rate, in rows, and batch size, in columns, as in figure 15."""
    reported = reported_for(options, HYPERPARAMETERS)
    suffixes = [", original study", ", made comparable", ", ours"] if reported else [""]
    header, lines = ["learning rate"], {rate: [f"{rate:g}"] for rate in LEARNING_RATES}
    for size in BATCH_SIZES:
        header += [f"batch size {size}{suffix}" for suffix in suffixes]
        for rate, line in lines.items():
            printed = reported.get((rate, size))
            if printed is not None:
                line += [f"{printed:.4f}", str(comparable(printed, "validation", size))]
            line.append(format_metric(grid[rate, size], "validation", "accuracy"))
    return Table(header, list(lines.values()), 1)


def selected_table(options: Options, grid: Mapping[Setting, Sequence[Run]], best: Setting | None) -> Table:
    """Return validation and test metrics of the selected setting, and of the original study's selection."""
    header = ["", "learning rate", "batch size", "validation accuracy", "test accuracy", "test loss"]
    metrics = (("validation", "accuracy"), ("test", "accuracy"), ("test", "loss"))

    def line(label: str, setting: Setting, numbers: Iterable[str]) -> list[str]:
        return [label, f"{setting[0]:g}", str(setting[1]), *numbers]

    def measured_line(label: str, setting: Setting) -> list[str]:
        return line(label, setting, (format_metric(grid[setting], *metric) for metric in metrics))

    lines = []
    if reported_for(options, HYPERPARAMETERS):
        printed = (f"{getattr(getattr(TUNED, split), metric):.4f}" for split, metric in metrics)
        lines.append(line("original study", TUNED_SETTING, printed))
        comparables = [str(TUNED.comparable(split)) for split in ("validation", "test")]
        lines.append(line("original study, made comparable", TUNED_SETTING, [*comparables, MISSING]))
        if best != TUNED_SETTING:
            lines.append(measured_line("the original study's selection, trained here", TUNED_SETTING))
    lines.append(
        measured_line("selected here", best) if best else ["selected here: none, all diverged", *[MISSING] * 5]
    )
    return Table(header, lines, 1)


def make_figures(options: Options, grid: Mapping[Setting, Sequence[Run]], best: Setting | None) -> dict[str, Figure]:
    """Return the figures by file name: the grid as a heat map, and the curves of the selected setting."""
    panels = {"Here": _matrix({setting: mean_accuracy(runs) for setting, runs in grid.items()})}
    reported = reported_for(options, reported_settings())
    originals = {
        setting: target_accuracy(Row(setting_name(*setting), grid[setting], numbers), "validation")
        for setting, numbers in reported.items()
    }
    if originals:
        panel = "Original study" if options.protocol == "published" else "Original study, comparable"
        panels[panel] = _matrix(originals)
    rows = plots.Ticks("Learning rate", [f"{rate:g}" for rate in LEARNING_RATES])
    columns = plots.Ticks("Batch size", [str(size) for size in BATCH_SIZES])
    mean = " Means over the seeds." if options.seeds > 1 else ""
    title = f"Validation accuracy by learning rate and batch size on {display_title(options.dataset)}"
    text = plots.HeatmapText("Validation accuracy", "selected: the highest of the grid", "Here minus original study")
    heatmap = {"heatmap.png": plots.heatmap(panels, rows, columns, text, title, f"{figures.subtitle(options)}{mean}")}
    if best is None:
        return heatmap
    name = setting_name(*best)
    original = figures.original_numbers_of_row(Row(name, grid[best], reported.get(best)))
    return heatmap | figures.curves(options, grid[best], "selected", f"Selected: {name}", original)


def _matrix(values: Mapping[Setting, float | None]) -> np.ndarray:
    return np.array([[values[rate, size] for size in BATCH_SIZES] for rate in LEARNING_RATES], float)


EXPERIMENT = Experiment(NAME, TITLE, __doc__ or "", hyperparameters)
main = EXPERIMENT.main
