"""Evaluation: the function `evaluate`, and the command `python -m cnn3.evaluate` in `__main__`.

It is a package for the same reason as `cnn3.predict`.
"""

from cnn3.training.evaluate import evaluate

__all__ = ["evaluate"]
