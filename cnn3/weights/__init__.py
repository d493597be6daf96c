"""Weights in files that PyTorch can read, and the pretrained weights that come with cnn3."""

from cnn3.weights.torch_layout import WeightsError
from cnn3.weights.weight_files import LoadedModel, load_model, load_weights, save_weights

__all__ = ["LoadedModel", "WeightsError", "load_model", "load_weights", "save_weights"]
