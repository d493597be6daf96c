"""The latent space of the tuned run as training goes on (original study, section 7, figures 24 to 26).

Maps the 128 values before the output layer to the plane, for the test images, by t-SNE as the original study does: with
the initial weights, those after epoch 21 (of index 20), and those of the best epoch. Numbers say how far apart classes
lie.
"""

import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from matplotlib.figure import Figure

from cnn3 import load, plots
from cnn3.analysis.latent import (
    EARLY_EXAGGERATION,
    ITERATIONS,
    NEIGHBORS,
    PERPLEXITY,
    Separability,
    compute_latents,
    measure_separability,
    tsne,
)
from cnn3.data.dataset import CLASS_NAMES, Split
from cnn3.runs.fit import BEST, INITIAL, snapshot_name, weight_names
from experiments.support.cache import cached, file_digest
from experiments.support.figures import subtitle as trained_on
from experiments.support.names import display
from experiments.support.options import Options
from experiments.support.publish import Report, run_experiment
from experiments.support.runner import Run, load_trained, run_all
from experiments.support.tables import Row, Table, format_mean_std, results_table, runs_table, table_notes
from experiments.support.verdict_tables import verdict_table

NAME = "latent"
TITLE = "The latent space"
MIDDLE_EPOCH = 20  # index of the epoch that the original study shows
TRACKED_IMAGES = 2000  # images that are followed through all stages
TSNE = {"perplexity": PERPLEXITY, "iterations": ITERATIONS}
PANELS = {
    "Accuracy": {"neighbours": f"{NEIGHBORS} nearest neighbours", "probe": "linear probe"},
    "Silhouette": {"silhouette": "silhouette"},
}
SCORES = {field: name for panel in PANELS.values() for field, name in panel.items()}

Map = Float[np.ndarray, "n 2"]


class Snapshot(NamedTuple):
    """Weights that a run has kept."""

    name: str  # of their file
    epochs: int  # trained before

    def __str__(self) -> str:
        """Return when it was, epochs counted from 1."""
        if self.name == INITIAL:
            return "before training"
        return f"{'best, ' if self.name == BEST else ''}epoch {self.epochs}"


class LatentSpace:
    """The latents of the test images at each stage of a run; what is computed from them is kept on disk."""

    def __init__(self, options: Options, run: Run) -> None:
        """Find the stages of a run."""
        self.options, self.run = options, run
        best = run.summary["best_epoch"]
        trained = {snapshot_name(epoch): epoch + 1 for epoch in run.config.snapshots}
        trained |= {INITIAL: 0} if best is None else {INITIAL: 0, BEST: best + 1}
        self.stages = [Snapshot(name, trained[name]) for name in weight_names(run.config, run.history)]

    @cached_property
    def test(self) -> Split:
        """The test set, which is read only if something is to be computed."""
        return load(self.options.dataset, self.options.data_dir).test

    def labels(self) -> Int[np.ndarray, " n"]:
        """Return the classes of the test images."""
        key = {"dataset": self.options.dataset}
        return cached(self._folder, "labels", key, lambda: {"labels": self.test.labels})["labels"]

    def scores(self, stage: Snapshot) -> Separability:
        """Return how far apart classes lie."""

        def compute() -> dict[str, np.ndarray]:
            print(f"seed {self.run.config.seed}, {stage}: separability")
            found = measure_separability(self._latents(stage), self.test.labels)
            return {name: np.array(value) for name, value in found._asdict().items()}

        found = cached(self._folder, "scores", self._key(stage) | {"neighbours": NEIGHBORS}, compute)
        return Separability(**{name: float(value) for name, value in found.items()})

    def map(self, stage: Snapshot) -> Map:
        """Return the map of all test images, as the original study makes it."""

        def compute() -> dict[str, Map]:
            values = self._latents(stage)
            print(f"seed {self.run.config.seed}, {stage}: t-SNE of {len(values)} images")
            return {"map": tsne(values)}

        return cached(self._folder, "map", self._key(stage) | TSNE, compute)["map"]

    def journey(self) -> dict[Snapshot, Map]:
        """Return maps of the first `TRACKED_IMAGES` images in training order, each begun where the last one ended.

        Of stages that are the same, as the last epoch and the best may be, the later is taken.
        """
        maps: dict[Snapshot, Map] = {}
        in_order = sorted(self.stages, key=lambda stage: (stage.epochs, stage.name == BEST))
        for stage in {tuple(self._key(stage).values()): stage for stage in in_order}.values():
            start = list(maps.values())[-1] if maps else None

            def compute(stage: Snapshot = stage, start: Map | None = start) -> dict[str, Map]:
                values = self._latents(stage)[:TRACKED_IMAGES]
                print(f"seed {self.run.config.seed}, {stage}: t-SNE of {len(values)} images, from the stage before")
                return {"map": tsne(values, start)}

            way = {
                "way": [self._key(of) for of in [*maps, stage]],
                "images": TRACKED_IMAGES,
                "exaggeration": EARLY_EXAGGERATION,
            }
            maps[stage] = cached(self._folder, "journey", way | TSNE, compute)["map"]
        return maps

    @property
    def _folder(self) -> Path:
        return self.options.folder(NAME) / "cache"

    def _path(self, stage: Snapshot) -> Path:
        return self.run.folder / f"{stage.name}.safetensors"

    def _training_mode(self, stage: Snapshot) -> bool:
        return self.run.config.protocol.latents_in_training_mode and stage.name != BEST

    def _key(self, stage: Snapshot) -> dict[str, Any]:
        """Return all that a stage's latents depend on."""
        digest = file_digest(self._path(stage))
        return {"weights": digest, "training_mode": self._training_mode(stage), "dataset": self.options.dataset}

    def _latents(self, stage: Snapshot) -> Float[np.ndarray, "n latent"]:
        model, weights = load_trained(self.run, stage.name)
        return compute_latents(model, weights, self.test.images, training_mode=self._training_mode(stage))


def latent(options: Options) -> Report:
    """Train the tuned run and return the maps and numbers of its latent space."""
    runs = run_all(options, NAME, {"tuned": options.tuned()})["tuned"]
    spaces = [LatentSpace(options, run) for run in runs]
    found = by_snapshot([{stage: space.scores(stage) for stage in space.stages} for space in spaces])
    rows = [Row("tuned", runs, None, {"latent": to_json(found)})]
    tables = {
        "Separability": separability_table(found),
        "Results": results_table(rows, "run"),
        **verdict_table(options, NAME, rows),
        "Runs": runs_table(rows, "run"),
    }
    return Report(NAME, TITLE, rows, notes(options, spaces[0]), tables, make_figures(spaces[0], found))


# By stage's name, one a seed, None where it has none.
Found = Mapping[str, Sequence[tuple[Snapshot, Separability] | None]]


def by_snapshot(seeds: Sequence[Mapping[Snapshot, Separability]]) -> Found:
    """Return the scores of each stage that any seed has, in the order of training and the best last."""
    stages = sorted({stage for seed in seeds for stage in seed}, key=lambda stage: (stage.name == BEST, stage.epochs))
    given = [{stage.name: (stage, of) for stage, of in seed.items()} for seed in seeds]
    return {name: [seed.get(name) for seed in given] for name in dict.fromkeys(stage.name for stage in stages)}


def shown(stages: Sequence[Snapshot]) -> list[Snapshot]:
    """Return the stages of the original figures: initial, epoch of index 20 or else the last before it, and best.

    Instead of epoch 20, one is taken that is not the best itself, if there is any.
    """
    best = [stage for stage in stages if stage.name == BEST]
    before = [stage for stage in stages if stage.name not in (INITIAL, BEST) and stage.epochs <= MIDDLE_EPOCH + 1]
    others = [
        stage for stage in before if stage.epochs == MIDDLE_EPOCH + 1 or stage.epochs not in (of.epochs for of in best)
    ]
    return [*stages[:1], *(others or before)[-1:], *best]


def separability_table(found: Found) -> Table:
    """Return the scores of each stage."""
    lines = []
    for name, of in found.items():
        there = [one for one in of if one is not None]
        when = str(there[0][0]) if len({stage for stage, _ in there}) == 1 else name
        columns = [[one and getattr(one[1], score) for one in of] for score in SCORES]
        lines.append([when, *(format_mean_std(column) for column in columns)])
    return Table(["stage", *SCORES.values()], lines, 1)


def to_json(found: Found) -> list[dict[str, Any]]:
    """Return the scores as `summary.json` holds them: for each stage, one entry a seed."""
    return [
        {"stage": name, "seeds": [one and {"epochs": one[0].epochs, **one[1]._asdict()} for one in of]}
        for name, of in found.items()
    ]


def notes(options: Options, space: LatentSpace) -> list[str]:
    """Return what a reader of tables and figures must know."""
    protocol = space.run.config.protocol
    mode = (
        "Latents of all but the best weights are taken in training mode, in batches of 64, as by the original program."
        if protocol.latents_in_training_mode
        else "Latents are taken in inference mode."
    )
    scored = (
        f"Separability is of the 128 latent values of the test images: accuracy of the {NEIGHBORS} nearest "
        "neighbours, leaving the image itself out; accuracy of a logistic regression on standardised values, fitted to "
        "the first half of the test images, on the second; and mean silhouette with Euclidean distance."
    )
    drawn = (
        f"Maps are by t-SNE (perplexity {PERPLEXITY}, {ITERATIONS} iterations, from the principal components). In the "
        f"evolution, of the first {TRACKED_IMAGES} test images at most, each map begins where the one before ended, "
        "without early exaggeration."
    )
    first = [] if options.seeds == 1 else ["Pictures are of the first seed."]
    return [
        *table_notes(options),
        mode,
        scored,
        drawn,
        *first,
        *missing(space),
    ]


def missing(space: LatentSpace) -> list[str]:
    """Return which of the original study's stages the run does not have."""
    names = [stage.name for stage in space.stages]
    if BEST not in names:
        return ["The run diverged in its first epoch: there is nothing but its initial weights."]
    if snapshot_name(MIDDLE_EPOCH) in names:
        return []
    (*_, instead, _) = shown(space.stages)
    return [f"The run ended before epoch {MIDDLE_EPOCH + 1}; the middle is {instead} instead."]


def make_figures(space: LatentSpace, found: Found) -> dict[str, Figure | bytes]:
    """Return the pictures by file name: maps of the stages that the original study shows, and the evolution."""
    options = space.options
    dataset = options.dataset
    labels, classes = space.labels(), CLASS_NAMES[dataset]
    maps = {stage: space.map(stage) for stage in shown(space.stages)}
    journey = space.journey()
    together = {heading(stage): points for stage, points in maps.items()}
    evolution = {heading(stage): points for stage, points in journey.items()}
    data, first = display(dataset), "" if options.seeds == 1 else " The first seed's maps."
    under = f"{trained_on(options)}{first} t-SNE of the 128 latent values of {{}} test images."
    whole, followed = (
        under.format(f"all {len(labels):,}"),
        under.format(f"the first {min(TRACKED_IMAGES, len(labels)):,}"),
    )
    title = f"Latent space on {data} before, during and after training"
    course = f"Evolution of the latent space on {data}"
    return {
        "side_by_side.png": plots.latent_maps(together, labels, classes, title, whole),
        "evolution.png": plots.latent_maps(evolution, labels, classes, course, followed),
        "evolution.gif": plots.animation(evolution, labels, classes, f"Latent space on {data}", trained_on(options)),
        "separability.png": separability(options, found),
    }


def heading(stage: Snapshot) -> str:
    """Return what a map of a stage is called."""
    return f"Epoch {stage.epochs} (kept: highest validation accuracy)" if stage.name == BEST else display(str(stage))


def separability(options: Options, found: Found) -> Figure:
    """Return the curves of the scores."""
    epochs = [float(np.mean([one[0].epochs for one in of if one is not None])) for of in found.values()]
    panels = {
        heading: {
            name: np.array([[one_or_nan(one, field) for one in of] for of in found.values()]).T
            for field, name in fields.items()
        }
        for heading, fields in PANELS.items()
    }
    best = list(found).index(BEST) if BEST in found else None
    title = f"How far apart classes lie in the latent space on {display(options.dataset)}"
    return plots.separability(epochs, panels, best, title, trained_on(options))


def one_or_nan(one: tuple[Snapshot, Separability] | None, field: str) -> float:
    """Return a score, not a number where the seed has no such stage."""
    return np.nan if one is None else getattr(one[1], field)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return run_experiment(latent, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
