"""What it costs to train a network, and test accuracy by that cost."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from statistics import fmean, stdev

import numpy as np

from cnn3 import RunConfig, plots
from cnn3.analysis.cost import count_parameters, training_flops
from cnn3.config import SEED
from cnn3.runs.fingerprint import code_fingerprint
from experiments.support.cache import cached
from experiments.support.run import Run, metric_values


def network_cost(folder: Path, config: RunConfig) -> dict[str, float]:
    """Return a network's parameters, and the operations of training on an image.

    They are cached in a folder, since XLA's count takes a second or two.
    """
    measures = {"parameters": count_parameters, "training_flops_per_image": training_flops}
    versions = {"code": code_fingerprint(), "cnn3": version("cnn3"), "jax": version("jax")}
    key = {"config": asdict(replace(config, seed=SEED)), **versions}

    def compute() -> dict[str, np.ndarray]:
        return {name: np.array(measure(config)) for name, measure in measures.items()}

    values = cached(folder / "cache", "cost", key, compute)
    return {name: values[name].item() for name in measures}


def accuracy_point(runs: Sequence[Run], cost: float) -> plots.Point | None:
    """Return the mean test accuracy of runs at their cost, and its standard deviation if there are several."""
    values = metric_values(runs, "test", "accuracy")
    if not values:
        return None
    return plots.Point(cost, fmean(values), stdev(values) if len(values) > 1 else None)
