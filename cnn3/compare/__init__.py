"""The command `python -m cnn3.compare`: the curves of several runs in one figure, and their results in a table."""
