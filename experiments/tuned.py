"""The tuned run on the test set (original study, section 5): its mistakes and its calibration."""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("tuned"))


from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.figure import Figure
from scipy.special import softmax

from cnn3 import plots
from cnn3.analysis.calibration import (
    BINS,
    Reliability,
    calibration_error,
    confident_mistakes,
    confusion,
    reliability,
)
from cnn3.data.dataset import CLASS_NAMES
from cnn3.runs.layout import BEST
from experiments.support.cache import cached, file_digest
from experiments.support.display_names import display_title
from experiments.support.figures import subtitle as trained_on
from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.reported import TUNED
from experiments.support.run import Run
from experiments.support.runner import classify_test_images, run_all
from experiments.support.tables import (
    MISSING,
    Row,
    Table,
    format_mean_std,
    reported_for,
    results_table,
    runs_table,
    table_notes,
)
from experiments.support.verdicts import judge_experiment

NAME = "tuned"
TITLE = "The tuned run"
MISTAKES = 24


class Predictions(NamedTuple):
    """The predictions of a run's best weights for the test images."""

    probabilities: Float[np.ndarray, "n classes"]
    labels: Int[np.ndarray, " n"]
    mistakes: Int[np.ndarray, " mistakes"]  # indices, the most confident first
    images: UInt8[np.ndarray, "mistakes 32 32 3"]

    @property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """The confusion matrix: a row for each true class, a column for each predicted class."""
        return confusion(self.labels, self.probabilities.argmax(1), self.probabilities.shape[1])

    @property
    def reliability(self) -> Reliability:
        """The accuracy and confidence of the predictions by bins of confidence."""
        return reliability(self.probabilities, self.labels)


def tuned(options: Options) -> Report:
    """Train the tuned run and return the report on its predictions for the test set."""
    runs = run_all(options, NAME, {NAME: options.tuned()})[NAME]
    seeds = [predict_test_set(options, run) if run.history else None for run in runs]
    predictions = [seed for seed in seeds if seed is not None]
    classes = CLASS_NAMES[options.dataset]
    extra = {"answers": [seed and to_json(seed, classes) for seed in seeds]}
    rows = [Row(NAME, runs, reported_for(options, {NAME: TUNED}).get(NAME), extra)]
    tables = {
        "Results": results_table(rows, "run"),
        "Calibration": calibration_table(predictions),
        "Classes": classes_table(predictions, classes),
        "Runs": runs_table(rows, "run"),
    }
    verdicts = judge_experiment(options, NAME, rows)
    return Report(NAME, TITLE, rows, notes(options), tables, make_figures(options, predictions), verdicts)


def predict_test_set(options: Options, run: Run) -> Predictions:
    """Return the predictions of a run's best weights; they are cached on disk."""

    def compute() -> dict[str, np.ndarray]:
        test, logits = classify_test_images(options, run)
        mistakes = confident_mistakes(probabilities(logits), test.labels, MISTAKES)
        return {"logits": logits, "labels": test.labels, "mistakes": mistakes, "images": test.images[mistakes]}

    digest = file_digest(run.folder / f"{BEST}.safetensors")
    key = {"weights": digest, "dataset": options.dataset, "mistakes": MISTAKES}
    arrays = cached(options.folder(NAME) / "cache", "answers", key, compute)
    return Predictions(probabilities(arrays["logits"]), arrays["labels"], arrays["mistakes"], arrays["images"])


def probabilities(logits: Float[np.ndarray, "n classes"]) -> Float[np.ndarray, "n classes"]:
    """Return the softmax of logits in double precision."""
    return softmax(logits.astype(np.float64), axis=1)


def calibration(predictions: Predictions) -> dict[str, float]:
    """Return accuracy, mean confidence and calibration error."""
    confidence = predictions.probabilities.max(1)
    return {
        "accuracy": float(np.mean(predictions.probabilities.argmax(1) == predictions.labels)),
        "mean confidence": float(confidence.mean()),
        "expected calibration error": calibration_error(predictions.reliability),
    }


def calibration_table(seeds: Sequence[Predictions]) -> Table:
    """Return accuracy, mean confidence and calibration error over the seeds."""
    values = [calibration(seed) for seed in seeds]
    names = list(values[0]) if values else []
    lines = [[name, format_mean_std([seed[name] for seed in values])] for name in names]
    return Table(["calibration", "test"], lines, 1)


def classes_table(seeds: Sequence[Predictions], classes: Sequence[str]) -> Table:
    """Return the accuracy of each class, and the class that its images are most often taken for, over all seeds."""
    lines = []
    for label, name in enumerate(classes) if seeds else ():
        rows = [seed.confusion[label] for seed in seeds]
        shares = np.sum(rows, 0) / np.sum(rows)
        others = [prediction for prediction in range(len(classes)) if prediction != label]
        most = max(others, key=lambda prediction: shares[prediction])
        confused_with = f"{classes[most]} ({shares[most]:.4f})" if shares[most] else MISSING
        lines.append([name, confused_with, format_mean_std([row[label] / row.sum() for row in rows])])
    return Table(["class", "most often taken for", "accuracy"], lines, 2)


def to_json(predictions: Predictions, classes: Sequence[str]) -> dict[str, Any]:
    """Return a seed's predictions as `summary.json` holds them; `image` is an index into the test set."""
    counts = predictions.confusion
    return {
        **{name.replace(" ", "_"): value for name, value in calibration(predictions).items()},
        "bins": BINS,
        "classes": {name: counts[i, i] / counts[i].sum() for i, name in enumerate(classes)},
        "confusion": counts.tolist(),
        "mistakes": [
            {"image": int(i), "true": mistake.true, "answer": mistake.predicted, "confidence": mistake.confidence}
            for i, mistake in zip(predictions.mistakes, mistakes_shown(predictions, classes), strict=True)
        ],
    }


def notes(options: Options) -> list[str]:
    """Return the notes that readers of tables and figures need."""
    calibrated = (
        "Confidence is the probability of the predicted class. The expected calibration error is the mean of "
        f"|accuracy - confidence| over {BINS} bins of equal width, weighted by their images (Guo et al., 2017)."
    )
    first = [] if options.seeds == 1 else ["Figures are of the first seed; confusions in the table are of all."]
    return [*table_notes(options, f"The original study's numbers are from {TUNED.source}."), calibrated, *first]


def make_figures(options: Options, seeds: Sequence[Predictions]) -> dict[str, Figure | bytes]:
    """Return the figures of the first seed by file name."""
    if not seeds:
        return {}
    predictions, classes = seeds[0], CLASS_NAMES[options.dataset]
    data, first = display_title(options.dataset), "" if options.seeds == 1 else " The first seed's predictions."
    measured = f"{len(predictions.labels):,} test images, accuracy {calibration(predictions)['accuracy']:.4f}."
    subtitle = f"{trained_on(options)}{first} {measured}"
    return {
        "confusion.png": plots.confusion_matrix(
            predictions.confusion, classes, f"Confusion matrix of the tuned run on {data}", subtitle
        ),
        "reliability.png": plots.reliability_diagram(
            predictions.reliability, f"Calibration of the tuned run on {data}", subtitle
        ),
        "mistakes.png": plots.mistake_grid(
            mistakes_shown(predictions, classes),
            f"Most confident mistakes of the tuned run on {data}",
            f"{subtitle} In brackets: the probability of the wrong class.",
        ),
    }


def mistakes_shown(predictions: Predictions, classes: Sequence[str]) -> list[plots.Mistake]:
    """Return the most confident mistakes with their images and class names."""
    names, mistakes = np.array(classes), predictions.mistakes
    true = names[predictions.labels[mistakes]].tolist()
    predicted = names[predictions.probabilities.argmax(1)[mistakes]].tolist()
    confidence = predictions.probabilities.max(1)[mistakes].tolist()
    columns = zip(predictions.images, true, predicted, confidence, strict=True)
    return [plots.Mistake(*mistake) for mistake in columns]


EXPERIMENT = Experiment(NAME, TITLE, __doc__ or "", tuned)
main = EXPERIMENT.main
