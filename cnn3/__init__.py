"""cnn3: how far a network of exactly three convolutions gets on CIFAR-10, in pure-functional JAX."""

from cnn3.config import (
    OPTIMIZERS,
    PROTOCOLS,
    VARIANTS,
    AugmentConfig,
    ConfigError,
    ModelConfig,
    OptimizerConfig,
    Protocol,
    RunConfig,
)
from cnn3.data import DataError, Dataset, Split, load
from cnn3.files import OutputError
from cnn3.nn.layers import default_block
from cnn3.nn.network import CNN3
from cnn3.predict import predict
from cnn3.runs.fit import Result, fit
from cnn3.training.step import TrainState, Weights, evaluate, train_epoch, train_step
from cnn3.weights import WeightsError, load_model, load_weights, save_weights
from cnn3.weights.pretrained import pretrained

__all__ = [
    "CNN3",
    "OPTIMIZERS",
    "PROTOCOLS",
    "VARIANTS",
    "AugmentConfig",
    "ConfigError",
    "DataError",
    "Dataset",
    "ModelConfig",
    "OptimizerConfig",
    "OutputError",
    "Protocol",
    "Result",
    "RunConfig",
    "Split",
    "TrainState",
    "Weights",
    "WeightsError",
    "default_block",
    "evaluate",
    "fit",
    "load",
    "load_model",
    "load_weights",
    "predict",
    "pretrained",
    "save_weights",
    "train_epoch",
    "train_step",
]
