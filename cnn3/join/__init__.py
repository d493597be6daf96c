"""The command `python -m cnn3.join`; the function `cnn3.join` is `cnn3.weights.join.join`."""
