"""Headings and captions that name the counterpart in the original study."""

from experiments.support.reported import FIGURES

SECTIONS = {  # of the original study; audit and differences have no counterpart there
    "setup": "sections 1 to 3",
    "improvements": "sections 3 and 4",
    "hyperparameters": "section 5",
    "optimizers": "section 6",
    "architecture": "sections 2 and 4",
    "tuned": "section 5",
    "latent": "section 7",
}


def section_title(experiment: str, title: str, dataset: str) -> str:
    """Return the title of an experiment's section, with the original section if the data set is the study's."""
    place = SECTIONS.get(experiment) if dataset == "cifar10" else None
    return f"{title} ({place} of the original study)" if place else title


def caption(experiment: str, name: str, text: str, dataset: str) -> str:
    """Return a caption with the numbers of the original figures that the picture or table `name` re-makes."""
    numbers = [str(number) for number, (_, owner, item) in FIGURES.items() if (owner, item) == (experiment, name)]
    if not numbers or dataset != "cifar10":
        return text
    return f"{text} (figure{'s' if len(numbers) > 1 else ''} {', '.join(numbers)} of the original study)"
