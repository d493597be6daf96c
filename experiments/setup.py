"""The data, the network and the settings (original study, sections 1 to 3, figures 1 and 2).

Trains nothing. Shows examples of each class, what the augmentation makes of them, the baseline's layers, and every
setting that the original study's text gives beside the one in use.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from cnn3 import OPTIMIZERS, PROTOCOLS, VARIANTS, Dataset, ModelConfig, RunConfig, load, plots
from cnn3.analysis.cost import count_parameters
from cnn3.config import LATENT_SIZE, SEED
from cnn3.data.loading import VALIDATION_FRACTION
from cnn3.nn.network import CNN3, NUM_CLASSES
from cnn3.training.augment import IMAGE_SIZE, augment, bounds
from cnn3.training.state import random_key, weight_shapes
from cnn3.weights.torch_layout import to_torch
from experiments.architecture import GROUPS
from experiments.hyperparameters import BATCH_SIZES, LEARNING_RATES
from experiments.latent import MIDDLE_EPOCH
from experiments.support.names import display
from experiments.support.options import Options
from experiments.support.publish import Report, run_experiment
from experiments.support.reported import REPORTED_SETTINGS
from experiments.support.tables import Table

NAME = "setup"
TITLE = "Data, network and settings"
EXAMPLES = 10  # of each class
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
AUGMENTED = 6  # images that are shown augmented


def setup(options: Options) -> Report:
    """Return what goes into every run."""
    dataset = load(options.dataset, options.data_dir)
    tables = {
        "Layers of the baseline": layers_table(),
        "Settings": settings_table(options, settings(options, dataset)),
        "Protocols": protocols_table(options),
    }
    notes = [
        "Weights have PyTorch's layout. Angles and scales are drawn uniformly within their bounds, for each image anew."
    ]
    return Report(NAME, TITLE, [], notes, tables, make_figures(options, dataset))


def layers_table() -> Table:
    """Return the parameters of the baseline, a row a layer (original study, figure 2)."""
    model = CNN3(VARIANTS["baseline"])
    shapes = weight_shapes(model)
    zeros = jax.tree.map(lambda of: np.zeros(of.shape, of.dtype), shapes)
    tensors = to_torch(model, zeros)
    lines = []
    for name in dict.fromkeys(key.rsplit(".", 1)[0] for key in tensors):
        weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
        lines.append([name, " x ".join(map(str, weight.shape)), str(bias.size), f"{weight.size + bias.size:,}"])
    lines.append(["all", "", "", f"{count_parameters(RunConfig()):,}"])
    return Table(["layer", "weights", "biases", "parameters"], lines, 1)


def settings(options: Options, dataset: Dataset) -> Mapping[str, str]:
    """Return the settings in use, by the keys of `reported.SETTINGS`."""
    run, tuned, model = options.config(), options.tuned(), ModelConfig()
    dense, hidden = VARIANTS["dense"], model.hidden
    parts = [len(part.labels) for part in (dataset.train, dataset.validation, dataset.test)]
    known = np.concatenate([dataset.train.labels, dataset.validation.labels])
    size = "x".join(map(str, dataset.train.images.shape[1:3]))
    return {
        "images": f"{sum(parts):,}",
        "classes": str(len(dataset.classes)),
        "size": size,
        "per_class": each_class(np.concatenate([known, dataset.test.labels])),
        "train_per_class": each_class(known),
        "test_per_class": each_class(dataset.test.labels),
        "held_out": f"{VALIDATION_FRACTION:.0%}",
        "split": ", ".join(f"{options.limit if options.limit and i == 0 else part:,}" for i, part in enumerate(parts)),
        "padding": str(run.augment.padding),
        "crop": f"{IMAGE_SIZE}x{IMAGE_SIZE}",
        "shear": f"±{run.augment.shear:g} degrees; rotation ±{run.augment.rotation:g} degrees",
        "scale": "{:g} to {:g}".format(*run.augment.scale),
        "convolutions": str(len(model.channels)),
        "kernel": "3x3, 1, 1",
        "pooling": "2x2, 2",
        "channels": layer_widths(model.channels),
        "other_channels": "; ".join(layer_widths(of.channels) for of in GROUPS["channels"].others.values()),
        "layers": layer_widths(sorted(len(of.hidden) + 1 for of in (model, *GROUPS["layers"].others.values()))),
        "features": f"{model.channels[-1] * (IMAGE_SIZE // 8) ** 2}",
        "widths": layer_widths((*hidden, NUM_CLASSES)),
        "batch_size": str(run.batch_size),
        "learning_rate": f"{run.optimizer.learning_rate:g}",
        "weight_decay": f"{run.optimizer.weight_decay:g}",
        "patience": str(run.patience),
        "dropout": f"{VARIANTS['dropout'].dropout:g}",
        "dense_channels": layer_widths(dense.channels),
        "dense_widths": layer_widths(dense.hidden),
        "learning_rates": layer_widths(f"{rate:g}" for rate in LEARNING_RATES),
        "batch_sizes": layer_widths(BATCH_SIZES),
        "selected": f"{tuned.batch_size}, {tuned.optimizer.learning_rate:g}",
        "momentum": f"{OPTIMIZERS['momentum'].momentum:g}",
        "epochs": str(options.epochs),
        "latent": str(LATENT_SIZE),
        "map": "2",
        "middle": f"{MIDDLE_EPOCH + 1}, of index {MIDDLE_EPOCH} from 0",
    }


def layer_widths(values: Iterable[object]) -> str:
    """Return values with commas between."""
    return ", ".join(map(str, values))


def each_class(labels: np.ndarray) -> str:
    """Return how many images each class has, or the least and the most."""
    counts = np.bincount(labels)
    least, most = counts.min(), counts.max()
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def settings_table(options: Options, used: Mapping[str, str]) -> Table:
    """Return every setting, beside that of the original study's text on its data set."""
    if options.dataset != "cifar10":
        return Table(["setting", "ours"], [[setting.what, used[key]] for key, setting in REPORTED_SETTINGS.items()], 2)
    lines = [[setting.what, setting.section, setting.printed, used[key]] for key, setting in REPORTED_SETTINGS.items()]
    return Table(["setting", "section", "original study", "ours"], lines, 4)


def protocols_table(options: Options) -> Table:
    """Return what the original program does otherwise than its text says, and which of the two is done here."""
    used = PROTOCOLS[options.protocol]
    lines = [
        [what, published, corrected, "published" if getattr(used, field) else "corrected"]
        for field, (what, published, corrected) in PROTOCOL_DEFECTS.items()
    ]
    return Table(["what", "published: as the program does", "corrected: as the text says", "here"], lines, 4)


def make_figures(options: Options, dataset: Dataset) -> dict[str, Figure | bytes]:
    """Return examples of each class, and augmented images."""
    images, labels = dataset.train
    classes = {name: images[labels == label][:EXAMPLES] for label, name in enumerate(dataset.classes)}
    names = list(classes)[:AUGMENTED]
    originals = np.stack([classes[name][0] for name in names])
    drawn = np.asarray(
        augment(random_key(SEED), jnp.repeat(originals, EXAMPLES - 1, 0), bounds(options.config().augment))
    )
    groups = zip(names, originals, np.split(drawn, AUGMENTED), strict=True)
    augmented = {name: np.concatenate([image[None], of]) for name, image, of in groups}
    data = display(options.dataset)
    shown = f"The first {EXAMPLES} training images of each class; nothing was trained for this figure."
    ways = f"Training images of {data} and {EXAMPLES - 1} random augmentations of each; nothing was trained."
    return {
        "examples.png": plots.image_grid(classes, f"Classes of {data}", shown),
        "augmented.png": plots.image_grid(augmented, f"Augmentation of images of {data}", ways, ["original"]),
    }


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return run_experiment(setup, NAME, __doc__ or "", args)


if __name__ == "__main__":
    sys.exit(main())
