"""What a worker is to do, and what it has ready once it can."""

import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from cnn3 import Split, load
from cnn3.config import Precision

Work = Mapping[str, Callable[[], float]]  # by what is asked for, images per second


@dataclass(frozen=True)
class Job:
    """What a worker is to do.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        variant: one of `cnn3.VARIANTS`.
        batch_size: images a step.
        images: how many one timing takes, a multiple of the batch size.
        program: the PyTorch program, None for cnn3.
        channels_last: whether PyTorch keeps images in that layout.
        precision: of products and convolutions; PyTorch takes bfloat16 through `torch.autocast`.
        compile_mode: of `torch.compile`, None to do without it.
        device: PyTorch's, on which it has all images from the start; None has the program load them as it does.
        dataset: whose images are taken.
    """

    data_dir: str
    variant: str
    batch_size: int
    images: int
    program: str | None = None
    channels_last: bool = False
    precision: Precision = "fp32"
    compile_mode: str | None = None
    device: str | None = None
    dataset: str = "cifar10"


class Ready(NamedTuple):
    """A program that can be timed.

    `work` says how, `peak_memory` the most bytes it has held so far. `program_memory` is what the compiler says that
    an epoch needs, None where there is no such compiler.
    """

    compile_seconds: float
    work: Work
    peak_memory: Callable[[], int]
    program_memory: int | None = None


def process_memory() -> int:
    """Return the most bytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def splits(job: Job) -> tuple[Split, Split]:
    """Return the images to train on, and those to evaluate: as many, but no more than the test set has.

    They fill whole batches, since of a smaller one some programs would be compiled once more.
    """
    dataset = load(job.dataset, job.data_dir, limit=job.images)
    count = min(job.images, len(dataset.test.labels)) // job.batch_size * job.batch_size
    return dataset.train, Split(*(a[:count] for a in dataset.test))
