"""A PyTorch program's network and optimizer, trained with all images on the device, so no loader limits the speed.

As in cnn3, the images stay on the device as uint8; order, batches, normalisation and metric sums are computed there,
and the host waits once, at the end of an epoch. Unlike in cnn3, nothing is augmented, which favours PyTorch.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.job import Job, Ready, process_memory, splits
from benchmarks.pytorch_program import load_program_with
from cnn3 import Dataset, Split
from cnn3.data.dataset import CLASS_NAMES

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of each channel, as the original study normalises

# (all images, all labels, indices of the batch) -> (mean loss, number of correct predictions)
Forward = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class Metrics(NamedTuple):
    """Cross entropy and accuracy over a number of images."""

    loss: float
    accuracy: float
    images: int


class DeviceData(NamedTuple):
    """Images and labels on the device; the images are NHWC for a network in channels_last, else NCHW."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Trainer:
    """A network on the device, its optimizer, and the function that computes loss and correct predictions."""

    model: nn.Module
    tx: torch.optim.Optimizer
    forward: Forward
    batch_size: int


def place(split: Split, device: torch.device, *, channels_last: bool) -> DeviceData:
    """Put images and labels on the device, in the layout that the network uses."""
    images = torch.from_numpy(split.images)
    images = images if channels_last else images.permute(0, 3, 1, 2).contiguous()
    return DeviceData(images.to(device), torch.from_numpy(split.labels).long().to(device))


def make_forward(
    model: nn.Module,
    device: torch.device,
    *,
    channels_last: bool = False,
    amp: bool = False,
    compile_mode: str | None = None,
) -> Forward:
    """Return a function that selects a batch, normalises it and applies the network; compiled if a mode is given."""
    mean, std = (255 * torch.tensor(values, device=device)[:, None, None] for values in (MEAN, STD))

    def forward(images: Tensor, labels: Tensor, batch: Tensor) -> tuple[Tensor, Tensor]:
        x, y = images[batch], labels[batch]
        x = x.permute(0, 3, 1, 2) if channels_last else x
        x = x.float().sub_(mean).div_(std)
        with torch.autocast(device.type, torch.bfloat16, enabled=amp):
            logits = model(x)
            loss = cross_entropy(logits, y)
        return loss, (logits.detach().argmax(1) == y).sum()

    return forward if compile_mode is None else torch.compile(forward, mode=compile_mode, dynamic=False)


def make_trainer(job: Job, dataset: Dataset) -> Trainer:
    """Return the program's own network and optimizer, on the job's device."""
    assert job.program is not None
    program = load_program_with(
        dataset, Path(job.program), job.variant, job.batch_size, channels_last=job.channels_last
    )
    device = torch.device(job.device or "cpu")
    model = program["model"].to(device)  # in place, so the optimizer still holds its parameters
    forward = make_forward(
        model,
        device,
        channels_last=job.channels_last,
        amp=job.precision == "bf16",
        compile_mode=job.compile_mode,
    )
    return Trainer(model, program["tx"], forward, job.batch_size)


def train_step(trainer: Trainer, data: DeviceData, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Take one step; return loss and correct predictions of the batch before it."""
    trainer.tx.zero_grad()
    loss, correct = trainer.forward(*data, batch)
    loss.backward()
    trainer.tx.step()
    return loss.detach(), correct


def train_epoch(trainer: Trainer, data: DeviceData) -> Metrics:
    """Train on every image once, in an order drawn on the device."""
    trainer.model.train()
    order = torch.randperm(len(data.labels), device=data.labels.device)
    return _fold(trainer, order, lambda batch: train_step(trainer, data, batch))


def evaluate(trainer: Trainer, data: DeviceData) -> Metrics:
    """Measure every image once, in inference mode."""
    trainer.model.eval()
    order = torch.arange(len(data.labels), device=data.labels.device)
    with torch.no_grad():
        return _fold(trainer, order, lambda batch: trainer.forward(*data, batch))


def _fold(trainer: Trainer, order: Tensor, step: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Metrics:
    loss = torch.zeros((), device=order.device)
    total_correct = torch.zeros((), dtype=torch.long, device=order.device)
    for batch in order.split(trainer.batch_size):
        mean, correct = step(batch)
        loss.add_(mean, alpha=len(batch))
        total_correct.add_(correct)
    count = len(order)
    return Metrics(loss.item() / count, total_correct.item() / count, count)  # the only synchronisation


def prepare(job: Job) -> Ready:
    """Load the program for a job, take a first step, and run an epoch and an evaluation."""
    train, test = splits(job)
    dataset = Dataset(job.dataset, CLASS_NAMES[job.dataset], train, test, test)
    trainer = make_trainer(job, dataset)
    device = torch.device(job.device or "cpu")
    if device.type == "cuda":
        match_xla_defaults()
    train_data, test_data = (place(split, device, channels_last=job.channels_last) for split in (train, test))
    start = time.perf_counter()
    trainer.model.train()
    train_step(trainer, train_data, torch.arange(job.batch_size, device=device))[0].item()
    seconds = time.perf_counter() - start
    work = {
        "train": lambda: _rate(lambda: train_epoch(trainer, train_data)),
        "evaluate": lambda: _rate(lambda: evaluate(trainer, test_data)),
    }
    for warm_up in work.values():
        warm_up()
    on_gpu = device.type == "cuda"
    return Ready(seconds, work, torch.cuda.max_memory_allocated if on_gpu else process_memory)


def match_xla_defaults() -> None:
    """Allow TF32 in float32 products and convolutions, and choose kernels by timing them, as XLA does by default."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def _rate(run: Callable[[], Metrics]) -> float:
    start = time.perf_counter()
    metrics = run()
    seconds = time.perf_counter() - start
    if not math.isfinite(metrics.loss):
        raise FloatingPointError(f"the loss is {metrics.loss}")
    return metrics.images / seconds
