"""The training hyperparameters (original study, section 5, figures 15 to 17).

Trains the batch norm model with Adam (L2 penalty 0.0003) at learning rates 0.01, 0.001 and 0.0001, each with batches of
64, 128 and 256 images, and selects the pair of highest validation accuracy, the mean over the seeds. The test set has
no part in the choice: it is used once, afterwards, for the model that was chosen.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from statistics import fmean

import numpy as np
from matplotlib.figure import Figure

from cnn3 import VARIANTS, OptimizerConfig, RunConfig, plots
from experiments.support import figures
from experiments.support.names import display
from experiments.support.options import Options
from experiments.support.publish import Report, run_experiment
from experiments.support.reported import (
    HYPERPARAMETERS,
    TUNED,
    TUNED_SETTING,
    Accuracy,
    Reported,
    comparable,
    setting_name,
)
from experiments.support.runner import Run, run_all
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
from experiments.support.verdict_tables import verdict_table

NAME = "hyperparameters"
TITLE = "Training hyperparameters"
LEARNING_RATES, BATCH_SIZES = (0.01, 0.001, 0.0001), (64, 128, 256)

Setting = tuple[float, int]  # learning rate and batch size
GRID: tuple[Setting, ...] = tuple(product(LEARNING_RATES, BATCH_SIZES))


def hyperparameters(options: Options) -> Report:
    """Train the nine settings and return what they show."""
    runs = run_all(options, NAME, {name(setting): config(options, setting) for setting in GRID})
    grid = {setting: runs[name(setting)] for setting in GRID}
    reported = reported_for(options, reported_settings())
    rows = [Row(name(setting), of, reported.get(setting)) for setting, of in grid.items()]
    best = select(grid)
    tables = {
        "Validation accuracy": grid_table(options, grid),
        "Selected setting": selected_table(options, grid, best),
        **verdict_table(options, NAME, rows),
        "Runs": runs_table(rows, "setting"),
    }
    return Report(NAME, TITLE, rows, notes(options), tables, make_figures(options, grid, best))


def name(setting: Setting) -> str:
    """Return what a setting is called."""
    return setting_name(*setting)


def config(options: Options, setting: Setting) -> RunConfig:
    """Return a setting's run; the original study's selection is the tuned run, which other experiments share."""
    if setting == TUNED_SETTING:
        return options.tuned()
    rate, batch_size = setting
    return options.config(model=VARIANTS["batch_norm"], optimizer=OptimizerConfig("adam", rate), batch_size=batch_size)


def reported_settings() -> dict[Setting, Reported]:
    """Return what the original study has of each setting."""
    cells = {at: Reported("figure 15", at[1], validation=Accuracy(value)) for at, value in HYPERPARAMETERS.items()}
    return cells | {TUNED_SETTING: TUNED}


def accuracy(runs: Sequence[Run]) -> float | None:
    """Return the mean validation accuracy of a setting's runs, None if one of them diverged in its first epoch."""
    summaries = [run.summary["validation"] for run in runs]
    return fmean(of["accuracy"] for of in summaries) if all(summaries) else None


def select(grid: Mapping[Setting, Sequence[Run]]) -> Setting | None:
    """Return the first setting of highest mean validation accuracy; one without a mean is no candidate."""
    candidates = {setting: mean for setting, runs in grid.items() if (mean := accuracy(runs)) is not None}
    return max(candidates, key=candidates.__getitem__) if candidates else None


def notes(options: Options) -> list[str]:
    """Return what a reader of the tables must know."""
    return table_notes(options, "The original study's numbers are from figure 15 and from the text of section 5.")


def grid_table(options: Options, grid: Mapping[Setting, Sequence[Run]]) -> Table:
    """Return validation accuracy, a row a learning rate and a column a batch size, as figure 15 has it."""
    reported = reported_for(options, HYPERPARAMETERS)
    theirs = ["original study", "made comparable"] if reported else []
    header, lines = ["learning rate"], {rate: [f"{rate:g}"] for rate in LEARNING_RATES}
    for size in BATCH_SIZES:
        header += [f"batch size {size}, {of}" for of in (*theirs, "ours")] if theirs else [f"batch size {size}"]
        for rate, line in lines.items():
            printed = reported.get((rate, size))
            if printed is not None:
                line += [f"{printed:.4f}", str(comparable(printed, "validation", size))]
            line.append(format_metric(grid[rate, size], "validation", "accuracy"))
    return Table(header, list(lines.values()), 1)


def selected_table(options: Options, grid: Mapping[Setting, Sequence[Run]], best: Setting | None) -> Table:
    """Return validation and test metrics of the selected setting beside those of the original study's selection."""
    header = ["", "learning rate", "batch size", "validation accuracy", "test accuracy", "test loss"]
    metrics = (("validation", "accuracy"), ("test", "accuracy"), ("test", "loss"))

    def line(label: str, setting: Setting, numbers: Iterable[str]) -> list[str]:
        return [label, f"{setting[0]:g}", str(setting[1]), *numbers]

    def ours(label: str, setting: Setting) -> list[str]:
        return line(label, setting, (format_metric(grid[setting], *metric) for metric in metrics))

    lines = []
    if reported_for(options, HYPERPARAMETERS):
        printed = (f"{getattr(getattr(TUNED, split), metric):.4f}" for split, metric in metrics)
        lines.append(line("original study", TUNED_SETTING, printed))
        stands_for = [str(TUNED.comparable(split)) for split in ("validation", "test")]
        lines.append(line("original study, made comparable", TUNED_SETTING, [*stands_for, MISSING]))
        if best != TUNED_SETTING:
            lines.append(ours("the original study's selection, trained here", TUNED_SETTING))
    lines.append(ours("selected here", best) if best else ["selected here: none, all diverged", *[MISSING] * 5])
    return Table(header, lines, 1)


def make_figures(options: Options, grid: Mapping[Setting, Sequence[Run]], best: Setting | None) -> dict[str, Figure]:
    """Return the plots by file name: the grid as a heat map, and the selected setting's curves."""
    panels = {"Here": _matrix({setting: accuracy(runs) for setting, runs in grid.items()})}
    originals = {
        setting: target_accuracy(Row(name(setting), grid[setting], original), "validation")
        for setting, original in reported_for(options, reported_settings()).items()
    }
    if originals:
        theirs = "Original study" if options.protocol == "published" else "Original study, comparable"
        panels[theirs] = _matrix(originals)
    rows = plots.Ticks("Learning rate", [f"{rate:g}" for rate in LEARNING_RATES])
    columns = plots.Ticks("Batch size", [str(size) for size in BATCH_SIZES])
    mean = " Means over the seeds." if options.seeds > 1 else ""
    title = f"Validation accuracy by learning rate and batch size on {display(options.dataset)}"
    words = plots.HeatmapText("Validation accuracy", "selected: the highest of the grid", "Here minus original study")
    heatmap = {"heatmap.png": plots.heatmap(panels, rows, columns, words, title, f"{figures.subtitle(options)}{mean}")}
    if best is None:
        return heatmap
    original = figures.original_numbers(
        Row(name(best), grid[best], reported_for(options, reported_settings()).get(best))
    )
    return heatmap | figures.curves(options, grid[best], "selected", f"Selected: {name(best)}", original)


def _matrix(values: Mapping[Setting, float | None]) -> np.ndarray:
    return np.array([[values[rate, size] for size in BATCH_SIZES] for rate in LEARNING_RATES], float)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return run_experiment(hyperparameters, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
