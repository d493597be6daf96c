"""What a reader reads instead of identifiers, in figures, captions, sentences and tables alike."""

from collections.abc import Mapping, Sequence

NAMES: Mapping[str, str] = {  # as in the middle of a sentence
    "cifar10": "CIFAR-10",
    "batch_norm": "batch norm",
    "dense": "dense block",
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
    "tuned": "tuned model",
    "train": "training",
}
JOINT = " + "  # of the improvements in a combination


def shown(name: str) -> str:
    """Return the name of a data set, row, split, optimizer or setting as in the middle of a sentence."""
    return NAMES.get(name) or JOINT.join(NAMES.get(part, part.replace("_", " ")) for part in name.split(JOINT))


def display(name: str) -> str:
    """Return the name as a title or legend has it, with a capital letter first."""
    text = shown(name)
    return text[:1].upper() + text[1:]


def listing(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun: 1 run, 2 runs."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
