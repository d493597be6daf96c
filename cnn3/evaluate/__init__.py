"""The command `python -m cnn3.evaluate`; the function `cnn3.evaluate` is `cnn3.training.evaluate.evaluate`."""
