"""What stands above a section and under a picture: what is to be seen, and its counterpart in the original study."""

import re
from pathlib import Path

from experiments.names import shown
from experiments.reported import FIGURES

PLACES = {  # in the original study; the audit has no counterpart there
    "setup": "sections 1 to 3",
    "improvements": "sections 3 and 4",
    "hyperparameters": "section 5",
    "optimizers": "section 6",
    "architecture": "sections 2 and 4",
    "tuned": "section 5",
    "latent": "section 7",
}
PICTURES = {  # by file name without its ending
    "examples": "Examples of each class",
    "augmented": "Training images, and what augmentation makes of them",
    "comparison": "Accuracy and loss of all runs of this section, by epoch",
    "comparison_epochs": "Accuracy and loss of all optimizers, by epoch",
    "comparison_time": "Accuracy and loss of all optimizers, by training time",
    "comparison_channels": "Accuracy and loss with other channels, by epoch",
    "comparison_layers": "Accuracy and loss with other numbers of fully connected layers, by epoch",
    "comparison_pooling": "Accuracy and loss with max and average pooling, by epoch",
    "comparison_improvements": "Accuracy and loss with the improvements and their combinations, by epoch",
    "heatmap": "Validation accuracy by learning rate and batch size",
    "accuracy_flops": "Test accuracy against the arithmetic of training on an image",
    "accuracy_parameters": "Test accuracy against the number of parameters",
    "differences": "How far each defect moves the accuracies",
    "confusion": "How many test images of each class are taken for which",
    "reliability": "Accuracy against confidence on the test images",
    "mistakes": "The most confident mistakes on the test images",
    "initial": "Latent space of the test images before training",
    "best": "Latent space of the test images with the best weights",
    "side_by_side": "Latent space before training, in the middle and with the best weights",
    "evolution": "How the latent space evolves",
    "separability": "How well the latent space separates the classes, by epoch",
    "glance": "Validation and test accuracies: the original study's, made comparable, and ours",
}


def title(name: str, heading: str, dataset: str) -> str:
    """Return the heading of an experiment's section, with its place in the original study on its data set."""
    place = PLACES.get(name) if dataset == "cifar10" else None
    return f"{heading} ({place} of the original study)" if place else heading


def caption(experiment: str, file: str, dataset: str) -> str:
    """Return what stands under a picture."""
    return numbered(experiment, file, _seen(Path(file).stem), dataset)


def numbered(experiment: str, name: str, words: str, dataset: str) -> str:
    """Return words with the numbers of the original figures that a picture, or table, re-makes."""
    found = [str(number) for number, (_, by, of) in FIGURES.items() if (by, of) == (experiment, name)]
    if not found or dataset != "cifar10":
        return words
    return f"{words} (figure{'s' if len(found) > 1 else ''} {', '.join(found)} of the original study)"


def _seen(stem: str) -> str:
    if stem in PICTURES:
        return PICTURES[stem]
    snapshot = re.fullmatch(r"epoch(\d+)", stem)
    if snapshot:
        return f"Latent space of the test images after epoch {int(snapshot[1]) + 1}"
    metric, _, name = stem.partition("_")
    if metric in ("accuracy", "loss") and name:
        of = "the selected setting" if name == "selected" else shown(name)
        return f"Training and validation {metric} by epoch: {of}"
    return stem.replace("_", " ").capitalize()
