"""The data, the network and the settings (original study, sections 1 to 3, figures 1 and 2).

Trains nothing. Shows examples of each class, augmented images, the baseline's layers, and every setting in the original
study's text with the one in use.
"""

if __name__ == "__main__":
    from experiments.support.entry import run  # before the imports below, which take seconds

    raise SystemExit(run("setup"))


from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from cnn3 import OPTIMIZERS, PROTOCOLS, VARIANTS, Dataset, ModelConfig, RunConfig, load, plots
from cnn3.analysis.cost import count_parameters
from cnn3.config import SEED
from cnn3.data.splits import VALIDATION_FRACTION
from cnn3.nn.network import CNN3
from cnn3.training.augment import IMAGE_SIZE, augment, bounds
from cnn3.training.state import random_key, weight_shapes
from cnn3.weights.torch_layout import to_torch
from experiments.support.display_names import display_title
from experiments.support.options import Options
from experiments.support.publish import Experiment
from experiments.support.report import Report
from experiments.support.reported import REPORTED_SETTINGS
from experiments.support.study import BATCH_SIZES, GROUPS, LEARNING_RATES, MIDDLE_EPOCH
from experiments.support.tables import Table

NAME = "setup"
TITLE = "Data, network and settings"
EXAMPLES = 10  # images of each class
PROTOCOL_DEFECTS: Mapping[str, tuple[str, str, str]] = {  # by field of `cnn3.Protocol`
    "discard_last_norm": (
        "norm after the second fully connected layer",
        "computed, its output thrown away",
        "used",
    ),
    "validate_in_training_mode": (
        "validation",
        "in training mode: batch statistics, running statistics updated, dropout on",
        "in inference mode",
    ),
    "pad_accuracy": ("accuracy", "correct / (batches x batch size), the last being smaller", "correct / images"),
    "mean_of_batch_means": ("loss", "mean of batch means, the last batch being smaller", "mean over images"),
    "latents_in_training_mode": ("latents of all but the best weights", "in training mode", "in inference mode"),
}
AUGMENTED = 6  # images with their augmentations


def setup(options: Options) -> Report:
    """Return the report on the data, the network and the settings."""
    dataset = load(options.dataset, options.data_dir)
    used = load(options.dataset, options.data_dir, limit=options.limit)
    tables = {
        "Layers of the baseline": layers_table(),
        "Settings": settings_table(options, settings(options, dataset, len(used.train.labels))),
        "Protocols": protocols_table(options),
    }
    notes = ["Weights have PyTorch's layout. Angles and scales are drawn uniformly within their bounds for each image."]
    return Report(NAME, TITLE, [], notes, tables, make_figures(options, dataset))


def layers_table() -> Table:
    """Return the parameters of the baseline, a row for each layer (original study, figure 2)."""
    model = CNN3(VARIANTS["baseline"])
    zeros = jax.tree.map(lambda shape: np.zeros(shape.shape, shape.dtype), weight_shapes(model))
    tensors = to_torch(model, zeros)
    lines = []
    for name in dict.fromkeys(key.rsplit(".", 1)[0] for key in tensors):
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        lines.append([name, " x ".join(map(str, weight.shape)), str(bias.size), f"{weight.size + bias.size:,}"])
    lines.append(["all", "", "", f"{count_parameters(RunConfig()):,}"])
    return Table(["layer", "weights", "biases", "parameters"], lines, 1)


def settings(options: Options, dataset: Dataset, trained: int) -> Mapping[str, str]:
    """Return the settings in use, by the keys of `reported.REPORTED_SETTINGS`; `trained` images are trained on."""
    run, tuned, model = options.config(), options.tuned(), ModelConfig()
    dense, hidden = VARIANTS["dense"], model.hidden
    sizes = [len(split.labels) for split in (dataset.train, dataset.validation, dataset.test)]
    used_sizes = [trained, *sizes[1:]]
    train_labels = np.concatenate([dataset.train.labels, dataset.validation.labels])
    return {
        "images": f"{sum(sizes):,}",
        "classes": str(len(dataset.classes)),
        "size": "x".join(map(str, dataset.train.images.shape[1:3])),
        "per_class": count_per_class(np.concatenate([train_labels, dataset.test.labels])),
        "train_per_class": count_per_class(train_labels),
        "test_per_class": count_per_class(dataset.test.labels),
        "held_out": f"{VALIDATION_FRACTION:.0%}",
        "split": ", ".join(f"{size:,}" for size in used_sizes),
        "padding": str(run.augment.padding),
        "crop": f"{IMAGE_SIZE}x{IMAGE_SIZE}",
        "shear": f"±{run.augment.shear:g} degrees; rotation ±{run.augment.rotation:g} degrees",
        "scale": "{:g} to {:g}".format(*run.augment.scale),
        "convolutions": str(len(model.channels)),
        "kernel": "{0}x{0}, 1, {1}".format(model.kernels[0], model.kernels[0] // 2),
        "pooling": f"{model.pool_window}x{model.pool_window}, 2",
        "channels": join(model.channels),
        "other_channels": "; ".join(join(other.channels) for other in GROUPS["channels"].alternatives.values()),
        "layers": join(sorted(len(other.hidden) + 1 for other in (model, *GROUPS["layers"].alternatives.values()))),
        "features": f"{model.channels[-1] * (IMAGE_SIZE // 8) ** 2}",
        "widths": join((*hidden, model.classes)),
        "batch_size": str(run.batch_size),
        "learning_rate": f"{run.optimizer.learning_rate:g}",
        "weight_decay": f"{run.optimizer.weight_decay:g}",
        "patience": str(run.patience),
        "dropout": f"{VARIANTS['dropout'].dropout:g}",
        "dense_channels": join(dense.channels),
        "dense_widths": join(dense.hidden),
        "learning_rates": join(f"{rate:g}" for rate in LEARNING_RATES),
        "batch_sizes": join(BATCH_SIZES),
        "selected": f"{tuned.batch_size}, {tuned.optimizer.learning_rate:g}",
        "momentum": f"{OPTIMIZERS['momentum'].momentum:g}",
        "epochs": str(options.epochs),
        "latent": str(hidden[-1]),
        "map": "2",
        "middle": f"{MIDDLE_EPOCH + 1}, of index {MIDDLE_EPOCH} from 0",
    }


def join(values: Iterable[object]) -> str:
    """Return values separated by commas."""
    return ", ".join(map(str, values))


def count_per_class(labels: np.ndarray) -> str:
    """Return the number of images of each class, as a range if it differs."""
    counts = np.bincount(labels)
    low, high = counts.min(), counts.max()
    return f"{high:,}" if low == high else f"{low:,} to {high:,}"


def settings_table(options: Options, used: Mapping[str, str]) -> Table:
    """Return every setting in use, with that of the original study's text if the data set is the same."""
    if options.dataset != "cifar10":
        return Table(["setting", "ours"], [[setting.what, used[key]] for key, setting in REPORTED_SETTINGS.items()], 2)
    lines = [[setting.what, setting.section, setting.printed, used[key]] for key, setting in REPORTED_SETTINGS.items()]
    return Table(["setting", "section", "original study", "ours"], lines, 4)


def protocols_table(options: Options) -> Table:
    """Return where the original program differs from its text, and which of the two is done here."""
    used = PROTOCOLS[options.protocol]
    lines = [
        [what, published, corrected, "published" if getattr(used, field) else "corrected"]
        for field, (what, published, corrected) in PROTOCOL_DEFECTS.items()
    ]
    return Table(["what", "published: as the program does", "corrected: as the text says", "here"], lines, 4)


def make_figures(options: Options, dataset: Dataset) -> dict[str, Figure | bytes]:
    """Return the figures by file name: examples of each class, and augmented images."""
    images, labels = dataset.train
    classes = {name: images[labels == label][:EXAMPLES] for label, name in enumerate(dataset.classes)}
    names = list(classes)[:AUGMENTED]
    originals = np.stack([classes[name][0] for name in names])
    copies = jnp.repeat(originals, EXAMPLES - 1, 0)
    augmented = np.asarray(augment(random_key(SEED), copies, bounds(options.config().augment)))
    groups = zip(names, originals, np.split(augmented, AUGMENTED), strict=True)
    rows = {name: np.concatenate([original[None], group]) for name, original, group in groups}
    data = display_title(options.dataset)
    examples_subtitle = f"The first {EXAMPLES} training images of each class; nothing was trained for this figure."
    subtitle = f"Training images of {data} and {EXAMPLES - 1} random augmentations of each; nothing was trained."
    return {
        "examples.png": plots.image_grid(classes, f"Classes of {data}", examples_subtitle),
        "augmented.png": plots.image_grid(rows, f"Augmentation of images of {data}", subtitle, ["original"]),
    }


EXPERIMENT = Experiment(NAME, TITLE, __doc__ or "", setup)
main = EXPERIMENT.main
