"""Figures that experiments share: the curves of each row, and of all rows in one figure."""

from collections.abc import Iterable, Mapping, Sequence

from matplotlib.figure import Figure

from cnn3 import plots
from experiments.support.display_names import display_title
from experiments.support.options import Options
from experiments.support.run import Run
from experiments.support.tables import Row, target_accuracy

TRAINING_IMAGES: Mapping[str, int] = {"cifar10": 45_000, "digits": 1_294}  # without those held out for validation
VALIDATION_IMAGES: Mapping[str, int] = {"cifar10": 5_000, "digits": 143}
COMPARABLE = "The original study's accuracies are made comparable: correct answers by images."
AXES: Mapping[plots.XAxis, str] = {"epochs": "epoch", "time": "training time"}

OriginalNumbers = Mapping[str, plots.ReportedNumbers]  # by name of the row


def subtitle(options: Options) -> str:
    """Return the subtitle of a figure: the training images, the epochs, the seeds and non-default settings."""
    images = TRAINING_IMAGES[options.dataset] if options.limit is None else options.limit
    patience = options.config().patience
    if patience is not None and options.epochs > patience:
        epochs = f"at most {options.epochs} epochs (early stopping with patience {patience})"
    else:
        epochs = "1 epoch" if options.epochs == 1 else f"{options.epochs} epochs"
    settings = {"published protocol": options.protocol == "published", "bfloat16": options.precision == "bf16"}
    changed = "".join(f", {name}" for name, used in settings.items() if used)
    trained = f"Trained on {images:,} images of {display_title(options.dataset)}"
    return f"{trained} for {epochs}, {options.describe_seeds()}{changed}."


def curves_of_rows(options: Options, rows: Sequence[Row], original: OriginalNumbers | None = None) -> dict[str, Figure]:
    """Return accuracy and loss of each row by epoch, as `curves_NAME.png`, all with the same vertical axes.

    A row without a second epoch has no figure.

    Args:
        options: the command line.
        rows: the rows to draw.
        original: the original study's numbers; None takes those of the rows.
    """
    known = original_numbers(rows) if original is None else original
    limits = plots.limits([run.history for row in rows for run in row.runs], known.values())
    figures: dict[str, Figure] = {}
    for row in rows:
        title = display_title(row.name)
        figures |= curves(options, row.runs, row.name, title, known.get(row.name, {}), limits=limits)
    return figures


def curves(
    options: Options,
    runs: Sequence[Run],
    name: str,
    title: str,
    original: plots.ReportedNumbers,
    *,
    limits: plots.Limits | None = None,
) -> dict[str, Figure]:
    """Return accuracy and loss of a row's runs by epoch, as `curves_NAME.png`, or nothing without a second epoch."""
    if not _has_curves(runs):
        return {}
    heading = f"{title} on {display_title(options.dataset)}: accuracy and loss by epoch"
    histories = [run.history for run in runs]
    text = f"{subtitle(options)}{comparable_sentence(options, [original])}"
    return {f"curves_{name}.png": plots.curves(histories, heading, text, reported=original, limits=limits)}


def comparison(
    options: Options,
    rows: Sequence[Row],
    name: str,
    title: str,
    *,
    x_axis: plots.XAxis = "epochs",
    original: OriginalNumbers | None = None,
) -> dict[str, Figure]:
    """Return one figure with the curves of all rows, by its file name, or nothing without a second epoch."""
    if not _has_curves([run for row in rows for run in row.runs]):
        return {}
    heading = f"{title} on {display_title(options.dataset)}: accuracy and loss by {AXES[x_axis]}"
    histories = {display_title(row.name): [run.history for run in row.runs] for row in rows}
    known = original_numbers(rows) if original is None else original
    numbers = {display_title(row): values for row, values in known.items()}
    shared = " Several runs may have shared a device." if x_axis == "time" else ""
    text = f"{subtitle(options)}{shared}{comparable_sentence(options, known.values())}"
    return {name: plots.comparison(histories, plots.METRICS, heading, text, x_axis=x_axis, reported=numbers)}


def original_numbers(rows: Sequence[Row]) -> OriginalNumbers:
    """Return the original study's numbers for the curves of rows."""
    return {row.name: original_numbers_of_row(row) for row in rows}


def original_numbers_of_row(row: Row) -> plots.ReportedNumbers:
    """Return the original study's numbers for the curves of a row: of its best epoch, accuracies made comparable."""
    numbers: dict[tuple[plots.SplitName, plots.Metric], float | None] = {}
    for split in plots.SPLITS:
        numbers[split, "accuracy"] = target_accuracy(row, split)
        numbers[split, "loss"] = getattr(getattr(row.reported, split, None), "loss", None)
    return {metric: plots.ReportedNumber(value) for metric, value in numbers.items() if value is not None}


def comparable_sentence(options: Options, original: Iterable[plots.ReportedNumbers]) -> str:
    """Return the sentence for a subtitle that the original accuracies are made comparable, empty if none are."""
    has_accuracies = any(metric == "accuracy" for numbers in original for _, metric in numbers)
    return f" {COMPARABLE}" if options.protocol == "corrected" and has_accuracies else ""


def _has_curves(runs: Sequence[Run]) -> bool:
    return any(len(run.history) > 1 for run in runs)
