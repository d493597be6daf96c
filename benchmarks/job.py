"""A worker's job, and the program that it makes ready for timing."""

import resource
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from cnn3 import Split, load
from cnn3.config import Precision

VariantName = Literal["baseline", "batch_norm", "dropout", "dense"]
VARIANT_NAMES: tuple[VariantName, ...] = get_args(VariantName)

Work = Mapping[str, Callable[[], float]]  # by phase, runs it once and returns images per second


@dataclass(frozen=True)
class Job:
    """What a worker times.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        variant: one of `cnn3.VARIANTS`.
        batch_size: images a step.
        images: images of one timing, a multiple of the batch size.
        program: the PyTorch program, None for cnn3.
        channels_last: whether PyTorch uses this memory layout.
        precision: of products and convolutions; PyTorch takes bfloat16 through `torch.autocast`.
        compile_mode: of `torch.compile`; None does not compile.
        device: the PyTorch device that holds all images from the start; None leaves loading to the program.
        dataset: the data set.
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

    `work` runs a phase, `peak_memory` returns the peak memory so far in bytes. `program_memory` is the bytes that an
    epoch needs according to the compiler, None if it does not say.
    """

    compile_seconds: float
    work: Work
    peak_memory: Callable[[], int]
    program_memory: int | None = None


def process_memory() -> int:
    """Return the peak memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # elsewhere it is in KiB


def splits(job: Job) -> tuple[Split, Split]:
    """Return the images to train on, and as many to evaluate, or all of the test set if it has fewer.

    They fill whole batches, since some programs would compile again for a smaller one.
    """
    dataset = load(job.dataset, job.data_dir, limit=job.images)
    count = min(job.images, len(dataset.test.labels)) // job.batch_size * job.batch_size
    return dataset.train, Split(*(a[:count] for a in dataset.test))
