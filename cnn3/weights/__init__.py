"""Weights in files that PyTorch reads, and those that come with cnn3."""

from cnn3.weights.torch_layout import WeightsError
from cnn3.weights.weight_files import Saved, load_model, load_weights, save_weights

__all__ = ["Saved", "WeightsError", "load_model", "load_weights", "save_weights"]
