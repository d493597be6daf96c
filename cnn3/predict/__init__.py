"""Prediction: the function `predict`, and the command `python -m cnn3.predict` in `__main__`.

`cnn3.predict` is a package so that it can be both. Python runs a package's `__main__` after importing the package; a
module that `cnn3` has already imported would run a second time, with a warning.
"""

from cnn3.training.evaluate import predict

__all__ = ["predict"]
