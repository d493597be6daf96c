"""Names for readers, used instead of identifiers in figures, captions, sentences and tables."""

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
    "muon": "Muon",
    "tuned": "tuned model",
    "train": "training",
}
JOINT = " + "  # between combined improvements


def display_name(name: str) -> str:
    """Return the name of a data set, row, split, optimizer or setting as in the middle of a sentence."""
    return NAMES.get(name) or JOINT.join(NAMES.get(part, part.replace("_", " ")) for part in name.split(JOINT))


def display_title(name: str) -> str:
    """Return the name as in a title or legend, with a capital first letter."""
    text = display_name(name)
    return text[:1].upper() + text[1:]


def join_names(names: Sequence[str]) -> str:
    """Return names as a list in a sentence: a, b and c."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def pluralize(count: int, noun: str) -> str:
    """Return a count with its noun: 1 run, 2 runs."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
