"""What a reader reads instead of identifiers, in figures, captions and tables alike."""

from collections.abc import Mapping

NAMES: Mapping[str, str] = {  # as in the middle of a sentence
    "cifar10": "CIFAR-10",
    "batch_norm": "batch norm",
    "dense": "dense block",
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
    "train": "training",
}
JOINT = " + "  # of the improvements in a combination


def display(name: str) -> str:
    """Return the name of a data set, row, split or setting as a title or legend has it, with a capital letter first."""
    text = JOINT.join(NAMES.get(part, part.replace("_", " ")) for part in name.split(JOINT))
    return text[:1].upper() + text[1:]
