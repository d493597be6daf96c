"""A PyTorch program's network and optimizer, trained with all images on the device, so that no loader decides.

The images are uint8 there, as cnn3's are. Each epoch's order is drawn there, a batch is taken and normalised there, and
the metrics are summed there: the host waits once, at the end of an epoch. Unlike cnn3, nothing is augmented, which
favours PyTorch.
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

# (all images, all labels, which are in the batch) -> (mean loss, how many are classified correctly)
Forward = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


class Metrics(NamedTuple):
    """Cross entropy and accuracy of a pass over images, and how many they were."""

    loss: float
    accuracy: float
    images: int


class Placed(NamedTuple):
    """Images and labels on the device; the images are NHWC for a network in channels_last, else NCHW."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Trainer:
    """A network on the device, its optimizer, and what computes loss and hits of a batch."""

    model: nn.Module
    tx: torch.optim.Optimizer
    forward: Forward
    batch_size: int


def place(split: Split, device: torch.device, *, channels_last: bool) -> Placed:
    """Put images and labels on the device, in the layout in which batches are taken from them."""
    images = torch.from_numpy(split.images)
    images = images if channels_last else images.permute(0, 3, 1, 2).contiguous()
    return Placed(images.to(device), torch.from_numpy(split.labels).long().to(device))


def make_forward(
    model: nn.Module,
    device: torch.device,
    *,
    channels_last: bool = False,
    amp: bool = False,
    compile_mode: str | None = None,
) -> Forward:
    """Return what takes a batch from all images, normalises it and applies the network; compiled if a mode is given."""
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
    """Return the program's own network, on the job's device, with the program's own optimizer."""
    assert job.program is not None
    program = load_program_with(
        dataset, Path(job.program), job.variant, job.batch_size, channels_last=job.channels_last
    )
    device = torch.device(job.device or "cpu")
    model = program["model"].to(device)  # in place: the optimizer keeps its parameters
    forward = make_forward(
        model,
        device,
        channels_last=job.channels_last,
        amp=job.precision == "bf16",
        compile_mode=job.compile_mode,
    )
    return Trainer(model, program["tx"], forward, job.batch_size)


def train_step(trainer: Trainer, data: Placed, batch: Tensor) -> tuple[Tensor, Tensor]:
    """Take one step; return loss and hits of the batch before it."""
    trainer.tx.zero_grad()
    loss, hits = trainer.forward(*data, batch)
    loss.backward()
    trainer.tx.step()
    return loss.detach(), hits


def train_epoch(trainer: Trainer, data: Placed) -> Metrics:
    """Train on every image once, in an order drawn on the device."""
    trainer.model.train()
    order = torch.randperm(len(data.labels), device=data.labels.device)
    return _fold(trainer, order, lambda batch: train_step(trainer, data, batch))


def evaluate(trainer: Trainer, data: Placed) -> Metrics:
    """Measure every image once, in inference mode."""
    trainer.model.eval()
    order = torch.arange(len(data.labels), device=data.labels.device)
    with torch.no_grad():
        return _fold(trainer, order, lambda batch: trainer.forward(*data, batch))


def _fold(trainer: Trainer, order: Tensor, step: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Metrics:
    loss = torch.zeros((), device=order.device)
    correct = torch.zeros((), dtype=torch.long, device=order.device)
    for batch in order.split(trainer.batch_size):
        mean, hits = step(batch)
        loss.add_(mean, alpha=len(batch))
        correct.add_(hits)
    count = len(order)
    return Metrics(loss.item() / count, correct.item() / count, count)  # the only wait for the device


def prepare(job: Job) -> Ready:
    """Load the program for a job, take a first step, and run an epoch and an evaluation."""
    train, test = splits(job)
    dataset = Dataset(job.dataset, CLASS_NAMES[job.dataset], train, test, test)
    trainer = make_trainer(job, dataset)
    device = torch.device(job.device or "cpu")
    if device.type == "cuda":
        as_fast_as_xla()
    trained, evaluated = (place(split, device, channels_last=job.channels_last) for split in (train, test))
    start = time.perf_counter()
    trainer.model.train()
    train_step(trainer, trained, torch.arange(job.batch_size, device=device))[0].item()
    seconds = time.perf_counter() - start
    work = {
        "train": lambda: _rate(lambda: train_epoch(trainer, trained)),
        "evaluate": lambda: _rate(lambda: evaluate(trainer, evaluated)),
    }
    for warm_up in work.values():
        warm_up()
    on_gpu = device.type == "cuda"
    return Ready(seconds, work, torch.cuda.max_memory_allocated if on_gpu else process_memory)


def as_fast_as_xla() -> None:
    """Let float32 products and convolutions use TF32, and time kernels to choose among them: XLA does both itself."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True


def _rate(run: Callable[[], Metrics]) -> float:
    start = time.perf_counter()
    metrics = run()
    seconds = time.perf_counter() - start
    if not math.isfinite(metrics.loss):
        raise FloatingPointError(f"the loss is {metrics.loss}")
    return metrics.images / seconds
