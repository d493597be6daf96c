"""The latents of the tuned run at each snapshot: their separability and their maps, cached on disk."""

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from cnn3 import load
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
from cnn3.cli import note
from cnn3.data.dataset import Split
from cnn3.runs.layout import BEST, INITIAL, snapshot_name
from cnn3.runs.result import weight_names
from experiments.support.cache import cached, file_digest
from experiments.support.options import Options
from experiments.support.run import Run
from experiments.support.runner import load_trained

EXPERIMENT = "latent"
TRACKED_IMAGES = 2000  # in the maps of the trajectory
TSNE = {"perplexity": PERPLEXITY, "iterations": ITERATIONS}

Embedding = Float[np.ndarray, "n 2"]


class Snapshot(NamedTuple):
    """Weights that a run has saved.

    Args:
        name: the stem of their file.
        epochs: the number of epochs trained before.
    """

    name: str
    epochs: int

    def __str__(self) -> str:
        """Return when the weights were saved; epochs count from 1."""
        if self.name == INITIAL:
            return "before training"
        return f"{'best, ' if self.name == BEST else ''}epoch {self.epochs}"


class LatentSpace:
    """The latents of the test images at each snapshot of a run; results are cached on disk."""

    def __init__(self, options: Options, run: Run) -> None:
        """Find the snapshots of a run."""
        self.options, self.run = options, run
        best = run.summary.best_epoch
        epochs = {INITIAL: 0, **{snapshot_name(epoch): epoch + 1 for epoch in run.config.snapshots}}
        if best is not None:
            epochs[BEST] = best + 1
        self.snapshots = [Snapshot(name, epochs[name]) for name in weight_names(run.config, run.history)]

    @cached_property
    def test(self) -> Split:
        """The test set, loaded only if something has to be computed."""
        return load(self.options.dataset, self.options.data_dir).test

    def labels(self) -> Int[np.ndarray, " n"]:
        """Return the classes of the test images."""
        key = {"dataset": self.options.dataset}
        return cached(self._folder, "labels", key, lambda: {"labels": self.test.labels})["labels"]

    def scores(self, snapshot: Snapshot) -> Separability:
        """Return the separability of the classes."""

        def compute() -> dict[str, np.ndarray]:
            self._print(snapshot, "separability")
            values = measure_separability(self._latents(snapshot), self.test.labels)
            return {name: np.array(value) for name, value in values._asdict().items()}

        values = cached(self._folder, "scores", self._key(snapshot) | {"neighbours": NEIGHBORS}, compute)
        return Separability(**{name: float(value) for name, value in values.items()})

    def embedding(self, snapshot: Snapshot) -> Embedding:
        """Return the map of all test images, as the original study makes it."""

        def compute() -> dict[str, Embedding]:
            values = self._latents(snapshot)
            self._print(snapshot, f"t-SNE of {len(values)} images")
            return {"map": tsne(values)}

        return cached(self._folder, "map", self._key(snapshot) | TSNE, compute)["map"]

    def trajectory(self) -> dict[Snapshot, Embedding]:
        """Return maps of the first `TRACKED_IMAGES` images in the order of training, each starting from the last one.

        Identical snapshots are mapped once, under the name of the later: the last epoch may be the best.
        """
        in_order = sorted(self.snapshots, key=lambda snapshot: (snapshot.epochs, snapshot.name == BEST))
        distinct = {tuple(self._key(snapshot).values()): snapshot for snapshot in in_order}
        maps: dict[Snapshot, Embedding] = {}
        for snapshot in distinct.values():
            init = list(maps.values())[-1] if maps else None

            def compute(snapshot: Snapshot = snapshot, init: Embedding | None = init) -> dict[str, Embedding]:
                values = self._latents(snapshot)[:TRACKED_IMAGES]
                self._print(snapshot, f"t-SNE of {len(values)} images, starting from the previous map")
                return {"map": tsne(values, init)}

            trajectory_key = {
                "way": [self._key(previous) for previous in [*maps, snapshot]],
                "images": TRACKED_IMAGES,
                "exaggeration": EARLY_EXAGGERATION,
            }
            maps[snapshot] = cached(self._folder, "journey", trajectory_key | TSNE, compute)["map"]
        return maps

    def _print(self, snapshot: Snapshot, task: str) -> None:
        note(f"seed {self.run.config.seed}, {snapshot}: {task}")

    @property
    def _folder(self) -> Path:
        return self.options.folder(EXPERIMENT) / "cache"

    def _training_mode(self, snapshot: Snapshot) -> bool:
        return self.run.config.protocol.latents_in_training_mode and snapshot.name != BEST

    def _key(self, snapshot: Snapshot) -> dict[str, Any]:
        """Return everything that the latents of a snapshot depend on."""
        digest = file_digest(self.run.folder / f"{snapshot.name}.safetensors")
        return {"weights": digest, "training_mode": self._training_mode(snapshot), "dataset": self.options.dataset}

    def _latents(self, snapshot: Snapshot) -> Float[np.ndarray, "n latent"]:
        model, weights = load_trained(self.run, snapshot.name)
        return compute_latents(model, weights, self.test.images, training_mode=self._training_mode(snapshot))
