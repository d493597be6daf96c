"""The command `python -m cnn3.train`: train any configuration."""
