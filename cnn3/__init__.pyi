from .config import (
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
from .data.dataset import Dataset
from .data.loading import load
from .data.splits import DataError, Split
from .files import OutputError
from .kernels import default_block
from .nn.network import CNN3
from .runs.fit import fit
from .runs.locks import BusyError
from .runs.records import read_epochs, read_runs
from .runs.result import Result
from .training.evaluate import evaluate, predict
from .training.optim import Hyperparameters, hyperparameters
from .training.state import TrainSpec, TrainState, Weights, init_state, make_train_spec
from .training.step import train_epoch, train_step
from .version import __version__
from .weights.join import join
from .weights.pretrained import pretrained
from .weights.torch_layout import WeightsError
from .weights.weight_files import load_model, load_weights, save_weights

__all__ = [
    "CNN3",
    "OPTIMIZERS",
    "PROTOCOLS",
    "VARIANTS",
    "AugmentConfig",
    "BusyError",
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
    "__version__",
    "default_block",
    "evaluate",
    "fit",
    "hyperparameters",
    "init_state",
    "join",
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
