"""The weights that come with cnn3: those of the tuned run at full length; README.md beside this file is their card.

It is a package, as `cnn3.predict` is, so that `cnn3.pretrained` is both the function and the folder of its data.
"""

from pathlib import Path

from cnn3.kernels import default_block
from cnn3.weights.weight_files import Saved, load_model

TUNED = Path(__file__).parent / "tuned.safetensors"


def pretrained() -> Saved:
    """Return the network of the tuned run (original study, section 5), its weights and the names of its classes.

    They come from one run at full length, protocol corrected, seed 3136, and answer 82.75% of CIFAR-10's test images
    right.

    Raises:
        WeightsError: the file is missing or damaged.
    """
    return load_model(TUNED, block=default_block())
