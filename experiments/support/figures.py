"""The figures that experiments share: curves of each row, and of all in one."""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from cnn3 import plots
from cnn3.config import SEED
from experiments.support.names import display
from experiments.support.options import Options
from experiments.support.runner import Run
from experiments.support.tables import Row, target_accuracy

TRAINING_IMAGES: Mapping[str, int] = {"cifar10": 45_000, "digits": 1_294}  # without those for validation
COMPARABLE = "The original study's accuracies are made comparable: correct answers by images."
BY: Mapping[plots.XAxis, str] = {"epochs": "epoch", "time": "training time"}

Original = Mapping[str, plots.ReportedNumbers]  # numbers of the original study, by a row's name


def subtitle(options: Options) -> str:
    """Return what a figure must say of its numbers: on what they were trained, how long, and with how many seeds."""
    images = TRAINING_IMAGES[options.dataset] if options.limit is None else options.limit
    patience = options.config().patience
    if options.epochs > patience:
        epochs = f"at most {options.epochs} epochs (early stopping with patience {patience})"
    else:
        epochs = "1 epoch" if options.epochs == 1 else f"{options.epochs} epochs"
    seeds = (
        f"1 seed ({SEED})" if options.seeds == 1 else f"{options.seeds} seeds ({SEED} to {SEED + options.seeds - 1})"
    )
    others = {"published protocol": options.protocol == "published", "bfloat16": options.precision == "bf16"}
    more = "".join(f", {name}" for name, used in others.items() if used)
    return f"Trained on {images:,} images of {display(options.dataset)} for {epochs}, {seeds}{more}."


def each(options: Options, rows: Sequence[Row], original: Original | None = None, words: str = "") -> dict[str, Figure]:
    """Return accuracy and loss of each row by epoch, as `curves_NAME.png`, all on the same axes of values.

    A row without a second epoch has none: a dot would say no more than its number.

    Args:
        options: the command line.
        rows: what is drawn.
        original: what the original study has of them; None is what it has in tables.
        words: that the subtitles end with.
    """
    known = originals(rows) if original is None else original
    limits = plots.limits([run.history for row in rows for run in row.runs], known.values())
    figures: dict[str, Figure] = {}
    for row in rows:
        numbers = known.get(row.name, {})
        figures |= curves(options, row.runs, row.name, display(row.name), numbers, limits=limits, words=words)
    return figures


def curves(
    options: Options,
    runs: Sequence[Run],
    name: str,
    title: str,
    original: plots.ReportedNumbers,
    *,
    limits: plots.Limits | None = None,
    words: str = "",
) -> dict[str, Figure]:
    """Return accuracy and loss of a row's runs by epoch, as `curves_NAME.png`, nothing without a second epoch."""
    if not _several_epochs(runs):
        return {}
    heading = f"{title} on {display(options.dataset)}: accuracy and loss by epoch"
    histories = [run.history for run in runs]
    under = f"{subtitle(options)}{words}{comparable_words(options, [original])}"
    return {f"curves_{name}.png": plots.curves(histories, heading, under, reported=original, limits=limits)}


def comparison(
    options: Options,
    rows: Sequence[Row],
    name: str,
    title: str,
    *,
    against: plots.XAxis = "epochs",
    original: Original | None = None,
    words: str = "",
) -> dict[str, Figure]:
    """Return one figure with the curves of all rows, by its file's name, nothing without a second epoch."""
    if not _several_epochs([run for row in rows for run in row.runs]):
        return {}
    heading = f"{title} on {display(options.dataset)}: accuracy and loss by {BY[against]}"
    named = {display(row.name): [run.history for run in row.runs] for row in rows}
    known = originals(rows) if original is None else original
    numbers = {display(of): values for of, values in known.items()}
    under = f"{subtitle(options)}{words}{comparable_words(options, known.values())}"
    return {name: plots.comparison(named, plots.METRICS, heading, under, x_axis=against, reported=numbers)}


def originals(rows: Sequence[Row]) -> Original:
    """Return what the original study has of the curves of rows, by their names."""
    return {row.name: original_numbers(row) for row in rows}


def original_numbers(row: Row) -> plots.ReportedNumbers:
    """Return what the original study has of curves: numbers of the epoch that it keeps, accuracies made comparable."""
    numbers: dict[tuple[plots.SplitName, plots.Metric], float | None] = {}
    for split in plots.SPLITS:
        numbers[split, "accuracy"] = target_accuracy(row, split)
        numbers[split, "loss"] = getattr(getattr(row.reported, split, None), "loss", None)
    return {at: plots.ReportedNumber(value) for at, value in numbers.items() if value is not None}


def comparable_words(options: Options, original: Iterable[plots.ReportedNumbers]) -> str:
    """Return what a subtitle adds where accuracies of the original study have been made comparable."""
    accuracies = (number for of in original for (_, metric), number in of.items() if metric == "accuracy")
    changed = options.protocol == "corrected" and any(number.epoch is None for number in accuracies)
    return f" {COMPARABLE}" if changed else ""


def _several_epochs(runs: Sequence[Run]) -> bool:
    return any(len(run.history) > 1 for run in runs)
