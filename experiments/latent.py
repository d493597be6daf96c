"""The latent space of the tuned run during training (original study, section 7, figures 24 to 26).

Maps the 128 values before the output layer to the plane for the test images, by t-SNE as the original study does: with
the initial weights, those after epoch 21 (index 20), and those of the best epoch. Scores measure how well the classes
are separated.
"""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("latent"))


from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from cnn3 import plots
from cnn3.analysis.latent import ITERATIONS, NEIGHBORS, PERPLEXITY, Separability
from cnn3.data.dataset import CLASS_NAMES
from cnn3.runs.layout import BEST, INITIAL, snapshot_name
from experiments.support.display_names import display_title
from experiments.support.figures import subtitle as trained_on
from experiments.support.latent_space import TRACKED_IMAGES, LatentSpace, Snapshot
from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.runner import run_all
from experiments.support.study import MIDDLE_EPOCH
from experiments.support.tables import Row, Table, format_mean_std, results_table, runs_table, table_notes
from experiments.support.verdicts import judge_experiment

NAME = "latent"
TITLE = "The latent space"
PANELS = {
    "Accuracy": {"neighbours": f"{NEIGHBORS} nearest neighbours", "probe": "linear probe"},
    "Silhouette": {"silhouette": "silhouette"},
}
SCORES = {field: name for panel in PANELS.values() for field, name in panel.items()}


def latent(options: Options) -> Report:
    """Train the tuned run and return the maps and scores of its latent space."""
    runs = run_all(options, NAME, {"tuned": options.tuned()})["tuned"]
    spaces = [LatentSpace(options, run) for run in runs]
    by_name = scores_by_name([{snapshot: space.scores(snapshot) for snapshot in space.snapshots} for space in spaces])
    rows = [Row("tuned", runs, None, {"latent": to_json(by_name)})]
    tables = {
        "Separability": separability_table(by_name),
        "Results": results_table(rows, "run"),
        "Runs": runs_table(rows, "run"),
    }
    verdicts = judge_experiment(options, NAME, rows)
    return Report(NAME, TITLE, rows, notes(options, spaces[0]), tables, make_figures(spaces[0], by_name), verdicts)


class Scored(NamedTuple):
    """A snapshot of a seed with its scores."""

    snapshot: Snapshot
    scores: Separability


ScoresByName = Mapping[str, Sequence[Scored | None]]  # by snapshot name, one for each seed, None if it has none


def scores_by_name(seeds: Sequence[Mapping[Snapshot, Separability]]) -> ScoresByName:
    """Return the scores of each snapshot that any seed has, in the order of training and the best last."""
    snapshots = sorted(
        {snapshot for seed in seeds for snapshot in seed}, key=lambda snapshot: (snapshot.name == BEST, snapshot.epochs)
    )
    by_name = [{snapshot.name: Scored(snapshot, values) for snapshot, values in seed.items()} for seed in seeds]
    names = dict.fromkeys(snapshot.name for snapshot in snapshots)
    return {name: [seed.get(name) for seed in by_name] for name in names}


def figure_snapshots(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """Return the snapshots of the original figures: initial, epoch of index 20, and best.

    A run without epoch 20 shows the last snapshot before it, if possible one that is not of the best epoch.
    """
    best = [snapshot for snapshot in snapshots if snapshot.name == BEST]
    trained = [snapshot for snapshot in snapshots if snapshot.name not in (INITIAL, BEST)]
    before = [snapshot for snapshot in trained if snapshot.epochs <= MIDDLE_EPOCH + 1]
    best_epochs = [snapshot.epochs for snapshot in best]
    preferred = [
        snapshot for snapshot in before if snapshot.epochs == MIDDLE_EPOCH + 1 or snapshot.epochs not in best_epochs
    ]
    return [*snapshots[:1], *(preferred or before)[-1:], *best]


def separability_table(by_name: ScoresByName) -> Table:
    """Return the scores of each snapshot."""
    lines = []
    for name, seeds in by_name.items():
        snapshots = {seed.snapshot for seed in seeds if seed is not None}
        label = str(next(iter(snapshots))) if len(snapshots) == 1 else name
        columns = [[seed and getattr(seed.scores, field) for seed in seeds] for field in SCORES]
        lines.append([label, *(format_mean_std(column) for column in columns)])
    return Table(["stage", *SCORES.values()], lines, 1)


def to_json(by_name: ScoresByName) -> list[dict[str, Any]]:
    """Return the scores as `summary.json` holds them: for each snapshot, an entry for each seed."""
    return [
        {
            "stage": name,
            "seeds": [seed and {"epochs": seed.snapshot.epochs, **seed.scores._asdict()} for seed in seeds],
        }
        for name, seeds in by_name.items()
    ]


def notes(options: Options, space: LatentSpace) -> list[str]:
    """Return the notes that readers of tables and figures need."""
    protocol = space.run.config.protocol
    mode = (
        "Latents of all but the best weights are taken in training mode, in batches of 64, as in the original program."
        if protocol.latents_in_training_mode
        else "Latents are taken in inference mode."
    )
    separability = (
        "Separability is measured on the 128 latent values of the test images: the accuracy of the "
        f"{NEIGHBORS} nearest neighbours, without the image itself; the accuracy of a logistic regression on "
        "standardised values, fitted to the first half of the test images and measured on the second; and the mean "
        "silhouette with Euclidean distance."
    )
    maps = (
        f"Maps are made by t-SNE (perplexity {PERPLEXITY}, {ITERATIONS} iterations, starting from the principal "
        f"components). The evolution shows the first {TRACKED_IMAGES} test images at most; each map starts from the "
        "previous one, without early exaggeration."
    )
    first = [] if options.seeds == 1 else ["Maps are of the first seed, the curves of separability of all."]
    return [*table_notes(options), mode, separability, maps, *first, *missing_snapshots(space)]


def missing_snapshots(space: LatentSpace) -> list[str]:
    """Return a sentence that names the snapshots of the original study that the run lacks, or nothing."""
    names = [snapshot.name for snapshot in space.snapshots]
    if BEST not in names:
        return ["The run diverged in its first epoch, so it has only its initial weights."]
    if snapshot_name(MIDDLE_EPOCH) in names:
        return []
    (*_, substitute, _) = figure_snapshots(space.snapshots)
    return [f"The run ended before epoch {MIDDLE_EPOCH + 1}; the middle is {substitute} instead."]


def make_figures(space: LatentSpace, by_name: ScoresByName) -> dict[str, Figure | bytes]:
    """Return the figures by file name: maps of the snapshots in the original figures, the evolution and the scores."""
    options, data = space.options, display_title(space.options.dataset)
    labels, classes = space.labels(), CLASS_NAMES[options.dataset]
    maps = {map_title(snapshot): space.embedding(snapshot) for snapshot in figure_snapshots(space.snapshots)}
    evolution = {map_title(snapshot): points for snapshot, points in space.trajectory().items()}
    first = "" if options.seeds == 1 else " The first seed's maps."
    subtitle = f"{trained_on(options)}{first} t-SNE of the 128 latent values of {{}} test images."
    all_images = subtitle.format(f"all {len(labels):,}")
    tracked_images = subtitle.format(f"the first {min(TRACKED_IMAGES, len(labels)):,}")
    title = f"Latent space on {data} before, during and after training"
    evolution_title = f"Evolution of the latent space on {data}"
    return {
        "side_by_side.png": plots.latent_maps(maps, labels, classes, title, all_images),
        "evolution.png": plots.latent_maps(evolution, labels, classes, evolution_title, tracked_images),
        "evolution.gif": plots.latent_animation(
            evolution, labels, classes, f"Latent space on {data}", trained_on(options)
        ),
        "separability.png": separability(options, by_name),
    }


def map_title(snapshot: Snapshot) -> str:
    """Return the title of the map of a snapshot."""
    if snapshot.name == BEST:
        return f"Epoch {snapshot.epochs} (kept: highest validation accuracy)"
    return display_title(str(snapshot))


def separability(options: Options, by_name: ScoresByName) -> Figure:
    """Return the curves of the scores."""
    epochs = [
        float(np.mean([seed.snapshot.epochs for seed in seeds if seed is not None])) for seeds in by_name.values()
    ]
    panels = {
        title: {
            label: np.array([[_score(seed, field) for seed in seeds] for seeds in by_name.values()]).T
            for field, label in fields.items()
        }
        for title, fields in PANELS.items()
    }
    best = list(by_name).index(BEST) if BEST in by_name else None
    title = f"How far apart classes lie in the latent space on {display_title(options.dataset)}"
    return plots.separability_curves(epochs, panels, best, title, trained_on(options))


def _score(seed: Scored | None, field: str) -> float:
    """Return a score, NaN if the seed lacks the snapshot."""
    return np.nan if seed is None else getattr(seed.scores, field)


EXPERIMENT = Experiment(NAME, TITLE, __doc__ or "", latent)
main = EXPERIMENT.main
