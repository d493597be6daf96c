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
    ScheduleConfig,
)
from cnn3.data.dataset import DataError, Dataset, Split
from cnn3.data.loading import load
from cnn3.evaluate import evaluate
from cnn3.files import OutputError
from cnn3.kernels import default_block
from cnn3.nn.network import CNN3
from cnn3.predict import predict
from cnn3.runs.fit import fit
from cnn3.runs.records import read_epochs, read_runs
from cnn3.runs.result import Result
from cnn3.training.optim import Hyperparameters, hyperparameters
from cnn3.training.state import TrainSpec, TrainState, Weights, init_state, make_train_spec
from cnn3.training.step import train_epoch, train_step
from cnn3.weights.pretrained import pretrained
from cnn3.weights.torch_layout import WeightsError
from cnn3.weights.weight_files import load_model, load_weights, save_weights

__all__ = [
    "CNN3",
    "OPTIMIZERS",
    "PROTOCOLS",
    "VARIANTS",
    "AugmentConfig",
    "ConfigError",
    "DataError",
    "Dataset",
    "Hyperparameters",
    "ModelConfig",
    "OptimizerConfig",
    "OutputError",
    "Protocol",
    "Result",
    "RunConfig",
    "ScheduleConfig",
    "Split",
    "TrainSpec",
    "TrainState",
    "Weights",
    "WeightsError",
    "default_block",
    "evaluate",
    "fit",
    "hyperparameters",
    "init_state",
    "load",
    "load_model",
    "load_weights",
    "make_train_spec",
    "predict",
    "pretrained",
    "read_epochs",
    "read_runs",
    "save_weights",
    "train_epoch",
    "train_step",
]
