"""The weights that come with cnn3, from the tuned run at full length; README.md in this folder is the model card.

It is a package for the sake of its data files.
"""

from pathlib import Path

from cnn3.kernels import default_block
from cnn3.weights.weight_files import LoadedModel, load_model

TUNED = Path(__file__).parent / "tuned.safetensors"


def pretrained() -> LoadedModel:
    """Return the model of the tuned run (original study, section 5), its weights and the names of its classes.

    The weights come from one run at full length (protocol corrected, seed 3136); their test accuracy is 82.75%.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    return load_model(TUNED, block=default_block())
