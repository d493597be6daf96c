"""What rows are called in sentences and tables for people."""

from collections.abc import Sequence

_NAMES = {
    "batch_norm": "batch norm",
    "dense": "dense block",
    "sgd": "SGD",
    "momentum": "SGD with momentum",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
    "tuned": "tuned model",
    "digits": "handwritten digits",
    "cifar10": "CIFAR-10",
}


def shown(name: str) -> str:
    """Return the name of a row, an optimizer or a data set for a reader."""
    return _NAMES.get(name) or " + ".join(_NAMES.get(part, part.replace("_", " ")) for part in name.split(" + "))


def listing(words: Sequence[str]) -> str:
    """Return words as a list in a sentence: a, b and c."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun: 1 run, 2 runs."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
