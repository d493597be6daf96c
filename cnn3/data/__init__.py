"""Data sets in memory: `load` returns training, validation and test images as uint8, and their labels."""

from cnn3.data.dataset import DataError, Dataset, Split
from cnn3.data.loading import load

__all__ = ["DataError", "Dataset", "Split", "load"]
