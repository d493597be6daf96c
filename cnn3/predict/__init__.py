"""The command `python -m cnn3.predict`; the function `cnn3.predict` is `cnn3.training.evaluate.predict`."""
