"""The weights that come with cnn3, from two runs at full length; README.md and flip.md are their model cards.

It is a package for the sake of its data files.
"""

from pathlib import Path

from cnn3.kernels import default_block
from cnn3.weights.torch_layout import WeightsError
from cnn3.weights.weight_files import LoadedModel, load_model

TUNED, FLIP = "tuned", "flip"
PRETRAINED = {name: Path(__file__).parent / f"{name}.safetensors" for name in (TUNED, FLIP)}


def weights_file(weights: Path) -> Path:
    """Return the file of weights that a command line gives by name, as "tuned" or "flip", or by file."""
    return PRETRAINED.get(str(weights), weights)


def pretrained(name: str = TUNED) -> LoadedModel:
    """Return a model trained on CIFAR-10, its weights and the names of its classes.

    Each is from one run at full length (protocol corrected, seed 3136).

    Args:
        name: "tuned" is the study's tuned run (section 5), test accuracy 82.75%; "flip" is a flip-equivariant network
            of no more parameters, the row `flip-muon-20` of the experiment `frontier`, test accuracy 88.58%.

    Raises:
        WeightsError: there are no such weights, or the file is missing or damaged.
    """
    if name not in PRETRAINED:
        raise WeightsError(f"no weights named {name!r} come with cnn3, only {' and '.join(PRETRAINED)}")
    return load_model(PRETRAINED[name], block=default_block())
