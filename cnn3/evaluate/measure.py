"""What `python -m cnn3.evaluate` does with its options."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnn3.cli import UsageError, note
from cnn3.config import SEED, ConfigError, Protocol, RunConfig, discards_last_norm
from cnn3.data.dataset import Dataset
from cnn3.data.loading import dataset_name, load
from cnn3.evaluate.options import Options
from cnn3.files import DamagedError, list_names, read_shared
from cnn3.jax_settings import check_jax
from cnn3.kernels import default_block
from cnn3.runs.compilation import cache_compilations
from cnn3.runs.layout import CONFIG, VERSIONS
from cnn3.runs.metadata import read_versions
from cnn3.runs.versions import data_mismatch
from cnn3.training.evaluate import EVALUATION_BATCH, evaluate
from cnn3.training.metrics import compute_metrics
from cnn3.weights.pretrained import weights_file
from cnn3.weights.torch_layout import WeightsError
from cnn3.weights.weight_files import load_model


def measure(options: Options) -> dict[str, Any]:
    """Return the loss and accuracy of weights on a split, its number of images `n`, and what was measured on what.

    Raises:
        ConfigError, DataError, OutputError: JAX's settings are wrong, or files cannot be read.
        UsageError: an option is missing, or the data set does not fit the weights.
        WeightsError: the weights cannot be read, or give no finite loss.
    """
    check_jax()
    file = weights_file(options.weights)
    run = run_config(file)
    precision = options.precision or (run.precision if run else "fp32")
    discard = discards_last_norm(options.protocol)
    loaded = load_model(file, discard_last_norm=discard, block=default_block(precision))
    dataset = _load_dataset(options, run, loaded.model.config.classes)
    if loaded.classes is not None:
        _compare_class_names(loaded.classes, dataset)
    cache_compilations()
    images, labels = getattr(dataset, options.split)
    model, n = loaded.model.clone(precision=precision), len(labels)
    metrics = compute_metrics(evaluate(model, EVALUATION_BATCH, loaded.weights, images, labels, n), n, n, Protocol())
    if not math.isfinite(metrics.loss):
        raise WeightsError(f"{options.weights} gives no finite loss; its training has diverged")
    return {
        "weights": str(options.weights),
        "dataset": dataset.name,
        "split": options.split,
        "n": n,
        **metrics._asdict(),
    }


def _load_dataset(options: Options, run: RunConfig | None, classes: int) -> Dataset:
    """Return the data set that the options or the run name, with the split of the run."""
    name = options.dataset or (run.dataset if run else None)
    if name is None:
        raise UsageError(f"{options.weights} does not lie in a run's folder; name the --dataset")
    seed = options.seed if options.seed is not None else run.seed if run else SEED
    limit = (
        options.limit if options.limit is not None else run.limit if run and run.dataset == dataset_name(name) else None
    )
    dataset = load(name, options.data_dir, seed=seed, limit=limit)
    if run and options.split != "test" and (options.dataset, options.seed, options.limit) == (None, None, None):
        _check_split(options, dataset)
    if classes != len(dataset.classes):
        remedy = "name another --dataset"
        raise UsageError(f"{options.weights} has {classes} classes, {name} has {len(dataset.classes)}; {remedy}")
    if run and not run.hold_out and run.dataset == dataset.name and options.split != "test":
        note(f"{options.weights} was trained on the validation images too")
        return dataset.without_hold_out()
    return dataset


def _compare_class_names(classes: Sequence[str], dataset: Dataset) -> None:
    """Say which class, the first, has another name in the weights than in the data set: it may be another class."""
    for label, (trained, name) in enumerate(zip(classes, dataset.classes, strict=True)):
        if trained != name:
            note(f"class {label} is {trained!r} in the weights and {name!r} in {dataset.name}; labels count, not names")
            return


def _check_split(options: Options, dataset: Dataset) -> None:
    """Make sure that images are split as in the run, which may have been given a data set of another seed or limit.

    Raises:
        UsageError: they are not.
    """
    mismatch = data_mismatch(read_versions(options.weights.parent), dataset.digest)
    if mismatch is not None:
        raise UsageError(
            f"the run of {options.weights} had another data set or split ({mismatch}); for --split {options.split} "
            "name its --seed, and its --limit if it had one"
        )


def run_config(weights: Path) -> RunConfig | None:
    """Return the configuration of the run in whose folder weights lie, or None if they lie in none.

    Other programs' weights may have a `config.json` of their own beside them.

    Raises:
        ConfigError: the file that should hold it is damaged.
        OutputError: it cannot be read.
    """
    try:
        return RunConfig.from_json(read_shared(weights.parent, CONFIG).decode(errors="replace"))
    except DamagedError:
        return None
    except ConfigError as error:
        if VERSIONS not in list_names(weights.parent):
            return None
        raise ConfigError(f"{weights.parent / CONFIG} is damaged: {error}") from None
