"""Where in the original study the counterpart of a section, picture or table stands."""

from experiments.support.reported import FIGURES

PLACES = {  # in the original study; audit and differences have no counterpart there
    "setup": "sections 1 to 3",
    "improvements": "sections 3 and 4",
    "hyperparameters": "section 5",
    "optimizers": "section 6",
    "architecture": "sections 2 and 4",
    "tuned": "section 5",
    "latent": "section 7",
}


def title(name: str, heading: str, dataset: str) -> str:
    """Return the heading of an experiment's section, with its place in the original study on its data set."""
    place = PLACES.get(name) if dataset == "cifar10" else None
    return f"{heading} ({place} of the original study)" if place else heading


def numbered(experiment: str, name: str, words: str, dataset: str) -> str:
    """Return words with the numbers of the original figures that a picture, or table, re-makes."""
    found = [str(number) for number, (_, by, of) in FIGURES.items() if (by, of) == (experiment, name)]
    if not found or dataset != "cifar10":
        return words
    return f"{words} (figure{'s' if len(found) > 1 else ''} {', '.join(found)} of the original study)"
