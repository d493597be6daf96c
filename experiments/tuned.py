"""The tuned run on the test set (original study, section 5): its mistakes, and how far it can be trusted."""

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from matplotlib.figure import Figure
from scipy.special import softmax

from cnn3 import load, plots, predict
from cnn3.analysis.calibration import BINS, calibration_error, confident_mistakes, confusion, reliability
from cnn3.data.dataset import CLASS_NAMES
from cnn3.runs.layout import BEST
from cnn3.training.evaluate import EVALUATION_BATCH
from experiments.support.cache import cached, file_digest
from experiments.support.figures import subtitle as trained_on
from experiments.support.names import display
from experiments.support.options import Options
from experiments.support.publish import Report, run_experiment
from experiments.support.reported import TUNED
from experiments.support.runner import Run, load_trained, run_all
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

NAME = "tuned"
TITLE = "The tuned run"
MISTAKES = 24


class Predictions(NamedTuple):
    """What the best weights of a run answer to the test images."""

    probabilities: Float[np.ndarray, "n classes"]
    labels: Int[np.ndarray, " n"]
    mistakes: Int[np.ndarray, " mistakes"]  # indices, the most confident first
    images: UInt8[np.ndarray, "mistakes 32 32 3"]

    @property
    def confusion(self) -> Int[np.ndarray, "classes classes"]:
        """Return how many images of each class, a row each, were taken for each class."""
        return confusion(self.labels, self.probabilities.argmax(1), self.probabilities.shape[1])


def tuned(options: Options) -> Report:
    """Train the tuned run and return what its answers to the test set show."""
    runs = run_all(options, NAME, {NAME: options.tuned()})[NAME]
    found = [predict_test_set(options, run) if run.history else None for run in runs]
    there = [of for of in found if of is not None]
    classes = CLASS_NAMES[options.dataset]
    more = {"answers": [of and to_json(of, classes) for of in found]}
    rows = [Row(NAME, runs, reported_for(options, {NAME: TUNED}).get(NAME), more)]
    tables = {
        "Results": results_table(rows, "run"),
        "Calibration": calibration_table(there),
        "Classes": classes_table(there, classes),
        "Runs": runs_table(rows, "run"),
    }
    return Report(NAME, TITLE, rows, notes(options), tables, make_figures(options, there))


def predict_test_set(options: Options, run: Run) -> Predictions:
    """Return what a run's best weights answer; it is kept on disk."""
    path = run.folder / f"{BEST}.safetensors"

    def compute() -> dict[str, np.ndarray]:
        model, weights = load_trained(run, BEST)
        test = load(options.dataset, options.data_dir).test
        logits = np.asarray(predict(model, EVALUATION_BATCH, weights, test.images).logits)
        mistakes = confident_mistakes(probabilities(logits), test.labels, MISTAKES)
        return {"logits": logits, "labels": test.labels, "mistakes": mistakes, "images": test.images[mistakes]}

    key = {"weights": file_digest(path), "dataset": options.dataset, "mistakes": MISTAKES}
    found = cached(options.folder(NAME) / "cache", "answers", key, compute)
    return Predictions(probabilities(found["logits"]), found["labels"], found["mistakes"], found["images"])


def probabilities(logits: Float[np.ndarray, "n classes"]) -> Float[np.ndarray, "n classes"]:
    """Return the probabilities that logits stand for, in double precision."""
    return softmax(logits.astype(np.float64), axis=1)


def calibration(of: Predictions) -> dict[str, float]:
    """Return how far the answers can be trusted."""
    confidence = of.probabilities.max(1)
    return {
        "accuracy": float(np.mean(of.probabilities.argmax(1) == of.labels)),
        "mean confidence": float(confidence.mean()),
        "expected calibration error": calibration_error(reliability(of.probabilities, of.labels)),
    }


def calibration_table(found: Sequence[Predictions]) -> Table:
    """Return how far the answers can be trusted."""
    measured = [calibration(of) for of in found]
    names = list(measured[0]) if measured else []
    return Table(["calibration", "test"], [[name, format_mean_std([of[name] for of in measured])] for name in names], 1)


def classes_table(found: Sequence[Predictions], classes: Sequence[str]) -> Table:
    """Return the accuracy of each class, and what else its images are most often taken for, over all seeds."""
    lines = []
    for label, name in enumerate(classes) if found else ():
        rows = [of.confusion[label] for of in found]
        parts = np.sum(rows, 0) / np.sum(rows)
        other = max((answer for answer in range(len(classes)) if answer != label), key=lambda answer: parts[answer])
        taken = f"{classes[other]} ({parts[other]:.4f})" if parts[other] else MISSING
        lines.append([name, taken, format_mean_std([row[label] / row.sum() for row in rows])])
    return Table(["class", "most often taken for", "accuracy"], lines, 2)


def to_json(of: Predictions, classes: Sequence[str]) -> dict[str, Any]:
    """Return what `summary.json` holds of a seed's answers; `image` is an index into the test set."""
    counts = of.confusion
    return {
        **{name.replace(" ", "_"): value for name, value in calibration(of).items()},
        "bins": BINS,
        "classes": {name: counts[i, i] / counts[i].sum() for i, name in enumerate(classes)},
        "confusion": counts.tolist(),
        "mistakes": [
            {"image": int(i), "true": mistake.true, "answer": mistake.predicted, "confidence": mistake.confidence}
            for i, mistake in zip(of.mistakes, sheet(of, classes), strict=True)
        ],
    }


def notes(options: Options) -> list[str]:
    """Return what a reader of the tables and figures must know."""
    calibrated = (
        "Confidence is the probability of the class answered. The expected calibration error is the mean of "
        f"|accuracy - confidence| over {BINS} bins of equal width, weighted by their images (Guo et al., 2017)."
    )
    first = [] if options.seeds == 1 else ["Pictures are of the first seed; confusions in the table are of all."]
    return [*table_notes(options, f"The original study's numbers are from {TUNED.source}."), calibrated, *first]


def make_figures(options: Options, found: Sequence[Predictions]) -> dict[str, Figure | bytes]:
    """Return the pictures of the first seed by file name."""
    if not found:
        return {}
    of, classes = found[0], CLASS_NAMES[options.dataset]
    data, first = display(options.dataset), "" if options.seeds == 1 else " The first seed's answers."
    measured = f"{len(of.labels):,} test images, accuracy {calibration(of)['accuracy']:.4f}."
    under = f"{trained_on(options)}{first} {measured}"
    mistakes = f"{under} In brackets: the probability of the wrong class."
    return {
        "confusion.png": plots.confusion_matrix(
            of.confusion, classes, f"Confusion matrix of the tuned run on {data}", under
        ),
        "reliability.png": plots.reliability_diagram(
            reliability(of.probabilities, of.labels), f"Calibration of the tuned run on {data}", under
        ),
        "mistakes.png": plots.mistake_grid(
            sheet(of, classes), f"Most confident mistakes of the tuned run on {data}", mistakes
        ),
    }


def sheet(of: Predictions, classes: Sequence[str]) -> list[plots.Mistake]:
    """Return the most confident mistakes in pictures and words."""
    names = np.array(classes)
    true, answer = names[of.labels[of.mistakes]].tolist(), names[of.probabilities.argmax(1)[of.mistakes]].tolist()
    confidence = of.probabilities.max(1)[of.mistakes].tolist()
    return [plots.Mistake(*shown) for shown in zip(of.images, true, answer, confidence, strict=True)]


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return run_experiment(tuned, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
