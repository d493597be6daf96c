"""What `python -m cnn3.train` does with its options."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cnn3 import plots
from cnn3.config import RunConfig
from cnn3.data.loading import load
from cnn3.jax_settings import check_jax
from cnn3.runs.compilation import cache_compilations
from cnn3.runs.fit import check_run, count_training_images, fit
from cnn3.runs.layout import BEST, WEIGHTS
from cnn3.runs.records import RunRecord, flatten
from cnn3.runs.result import Result
from cnn3.runs.run_name import model_name, run_name
from cnn3.train.options import Files, TrainOptions
from cnn3.train.tensorboard import TensorBoardLog, check_installed
from cnn3.training.optim import update_rule

CURVES = "curves.png"  # in the run's folder


def train(options: TrainOptions) -> int:
    """Train, resume or read the run, draw its curves and print its outcome.

    Returns:
        the exit status: 0, or 1 if training diverged.

    Raises:
        UsageError: what an option needs is not installed.
        ConfigError, DataError: the configuration is impossible, or its images are not available.
        OutputError: the run's folder cannot be used.
        WeightsError: the weights of a finished run cannot be read.
    """
    config, source, files = options
    if files.log is not None:
        check_installed()
    check_jax()
    update_rule(config.optimizer.name)  # an unknown one is an error before images are prepared
    cache_compilations()
    dataset = load(source, files.data_dir, seed=config.seed, limit=config.limit)
    check_run(config, dataset)
    folder = files.output / config.dataset / "runs" / run_name(config)
    label = files.label or model_name(config.model)
    log = TensorBoardLog(folder, config) if files.log is not None else None
    result = fit(config, dataset, folder, label=label, on_epoch=log and log.on_epoch)
    plots.save(draw_curves(result, label, count_training_images(config, dataset)), folder / CURVES)
    if log is not None:
        log.finish(result.history, folder / CURVES)
    if files.json:
        print(json.dumps(to_json(result, folder)))
    else:
        print(*describe(result, folder, source, files), sep="\n")
    return 1 if result.summary["diverged"] else 0


def draw_curves(result: Result, label: str, images: int) -> Figure:
    """Return the curves of a run that trained on a number of images."""
    config, test = result.config, result.summary["test"]
    epochs = f"{config.epochs} epoch{'s' * (config.epochs > 1)}"
    accuracy = f" Test accuracy {test['accuracy']:.4f}." if test else ""
    subtitle = f"Trained on {images:,} images of {config.dataset} for at most {epochs}, seed {config.seed}.{accuracy}"
    return plots.curves([result.history], f"{label} on {config.dataset}: accuracy and loss by epoch", subtitle)


def to_json(result: Result, folder: Path) -> dict[str, Any]:
    """Return the record of a run that has ended, as in `cnn3.read_runs`, with where it diverged and its curves."""
    run = RunRecord(folder, result.config, result.history, result.summary, finished=True)
    return {**flatten(run), "diverged": result.summary["diverged"], "curves": str(folder / CURVES)}


def describe(result: Result, folder: Path, source: str, files: Files) -> Iterator[str]:
    """Yield what is printed of a run that has ended: its folder, its curves, its numbers, and how to go on."""
    config, summary = result.config, result.summary
    yield f"run: {folder}"
    yield f"curves: {folder / CURVES}"
    if files.log is not None:
        yield f"log: tensorboard --logdir {shlex.quote(str(files.output))}"
    if where := summary["diverged"]:
        place = f"epoch {where['epoch'] + 1}, {where['during']} step {where['step'] + 1}"
        yield f"diverged: the loss was not finite in {place}; try a smaller --optimizer.learning-rate"
    if not result.history:
        return
    endings = {"epochs": "all epochs done", "patience": f"no better for {config.patience}", "diverged": "diverged"}
    epochs, best = summary["epochs"], summary["best_epoch"] + 1
    yield f"epochs: {epochs} of at most {config.epochs} ({endings[summary['stopped']]}), the best is epoch {best}"
    for split in ("validation", "test"):
        seen = " (of images trained on)" if split == "validation" and not config.hold_out else ""
        yield f"{split}: loss {summary[split]['loss']:.4f}, accuracy {summary[split]['accuracy']:.4f}{seen}"
    weights = shlex.quote(str(folder / f"{BEST}{WEIGHTS}"))
    yield f"evaluate: python -m cnn3.evaluate {weights} --split validation{_data_options(config, source, files)}"
    yield f"predict: python -m cnn3.predict IMAGE... --weights {weights}"


def _data_options(config: RunConfig, source: str, files: Files) -> str:
    """Return the options of `cnn3.evaluate` that the run's folder does not know."""
    options = {
        "--dataset": None if source == config.dataset else source,
        "--data-dir": files.data_dir,
    }
    return "".join(f" {name} {shlex.quote(str(value))}" for name, value in options.items() if value is not None)
