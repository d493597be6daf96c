"""Training and evaluation speed of cnn3 and of a PyTorch program, in interleaved rounds.

python -m benchmarks.throughput --data-dir DIR --pytorch pytorch_program.py

Training is whole epochs over the first images of CIFAR-10's training set: augmentation, metrics and optimizer included,
compilation excluded. Evaluation is in inference mode. The PyTorch program runs as written and with --channels-last;
`benchmarks.pytorch_program` says what it must define. Nothing else should run meanwhile. Prints a table of medians, and
writes throughput.json and throughput.png.

On a GPU, cnn3 is also timed in bfloat16, and the PyTorch program's network with its images on the GPU, in float32 and
in mixed precision, with and without `torch.compile`: see `benchmarks.gpu_throughput`.
"""

import json
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import tyro
from matplotlib.figure import Figure

from benchmarks import gpu_throughput
from benchmarks.job import VARIANT_NAMES, Job, VariantName
from benchmarks.peak import peak_flops
from benchmarks.workers import Worker
from cnn3 import VARIANTS, RunConfig, files, plots
from cnn3.analysis.cost import training_flops
from cnn3.plots.style import add_title
from cnn3.runs.machine import cores, processor

CNN3, PYTORCH, CHANNELS_LAST = "cnn3", "PyTorch", "PyTorch, channels_last"
PHASES = ("train", "evaluate")
IMAGES = 2560  # of a timing


@dataclass(frozen=True)
class Options:
    """Options of the timing.

    Args:
        data_dir: TFDS's folder with CIFAR-10.
        pytorch: the PyTorch program.
        variants: of the network.
        batch_sizes: images per step.
        rounds: number of timings of each program.
        images: images of one timing, a multiple of the batch sizes; default 2,560, on a GPU 10,240.
        output: folder for the results.
        programs: programs to time on a GPU, from cnn3, cnn3-bf16, pytorch, pytorch-channels-last, pytorch-amp,
            pytorch-compile, pytorch-compile-amp, pytorch-graphs and pytorch-graphs-amp; default the first five. The
            last four take up to a minute to compile.
        seconds: on a GPU, start no batch size or variant that would not end within this time.
    """

    data_dir: Path
    pytorch: Path
    variants: tuple[VariantName, ...] = VARIANT_NAMES
    batch_sizes: tuple[int, ...] = (64, 128, 256)
    rounds: int = 5
    images: int | None = None
    output: Path = Path("results/benchmarks")
    programs: tuple[str, ...] = ()
    seconds: float = 480.0


def jobs(options: Options, variant: str, batch_size: int) -> dict[str, Job]:
    """Return the jobs to compare, by the programs' names."""
    cnn3 = Job(str(options.data_dir), variant, batch_size, options.images or IMAGES)
    program = str(options.pytorch)
    return {
        CNN3: cnn3,
        PYTORCH: Job(**{**vars(cnn3), "program": program}),
        CHANNELS_LAST: Job(**{**vars(cnn3), "program": program, "channels_last": True}),
    }


def measure(options: Options, variant: str, batch_size: int) -> dict[str, Any]:
    """Time all programs in turn, and return all timings."""
    with ExitStack() as stack:
        workers, prepared = {}, {}
        for name, job in jobs(options, variant, batch_size).items():
            workers[name] = stack.enter_context(closing(Worker(job)))
            prepared[name] = workers[name].prepare()
        answers: dict[str, dict[str, list[dict[str, float]]]] = {
            name: {phase: [] for phase in PHASES} for name in workers
        }
        for _ in range(options.rounds):
            for phase in PHASES:
                for name, worker in workers.items():
                    answers[name][phase].append(worker.ask(phase))
    rates = {
        name: {phase: [answer["images_per_second"] for answer in phases[phase]] for phase in PHASES}
        for name, phases in answers.items()
    }
    compiled = prepared[CNN3]["compile"]
    memory = {name: phases["train"][-1]["peak_memory"] for name, phases in answers.items()}
    return {"variant": variant, "batch_size": batch_size, "rates": rates, "memory": memory, "compile_seconds": compiled}


def table(results: Sequence[Mapping[str, Any]], peak: float) -> Iterator[str]:
    """Yield the lines of the table of medians."""
    header = ["variant", "batch", "", CNN3, PYTORCH, "ratio", "channels_last", "ratio", "limit", "GB", "compile, s"]
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for result in results:
        limit = peak / training_flops(RunConfig(VARIANTS[result["variant"]]))
        for phase in PHASES:
            rates = {name: statistics.median(phases[phase]) for name, phases in result["rates"].items()}
            cells = [result["variant"], str(result["batch_size"]), phase, f"{rates[CNN3]:.0f}"]
            for name in (PYTORCH, CHANNELS_LAST):
                cells += [f"{rates[name]:.0f}", f"{rates[CNN3] / rates[name]:.2f}"]
            training = phase == "train"
            cells += [f"{limit:.0f}"] if training else [""]
            cells += (
                [f"{result['memory'][CNN3] / 1e9:.2f}", f"{result['compile_seconds']:.0f}"] if training else ["", ""]
            )
            yield f"| {' | '.join(cells)} |"


def draw(results: Sequence[Mapping[str, Any]], peak: float, subtitle: str) -> Figure:
    """Draw the training speeds, a group of bars for each variant and batch size."""
    figure = Figure(figsize=(max(4.8, 1.2 + 0.9 * len(results)), 4.4), layout="constrained")
    axes = figure.add_subplot()
    names = [CNN3, PYTORCH, CHANNELS_LAST]
    for i, (name, color) in enumerate(zip(names, plots.COLORS, strict=False)):
        rates = [statistics.median(result["rates"][name]["train"]) for result in results]
        axes.bar([x + 0.27 * (i - 1) for x in range(len(results))], rates, 0.25, color=color, label=name)
    limits = [peak / training_flops(RunConfig(VARIANTS[result["variant"]])) for result in results]
    for x, limit in enumerate(limits):
        axes.plot(
            [x - 0.42, x + 0.42], [limit, limit], color="black", label=None if x else "limit of direct convolution"
        )
    axes.set_xticks(range(len(results)), [f"{r['variant'].replace('_', ' ')}\n{r['batch_size']}" for r in results])
    axes.set_xlabel("Variant and batch size")
    axes.set_ylabel("Training images per second")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    add_title(figure, "Training speed of cnn3 and of a PyTorch program", subtitle)
    return figure


def measure_all(options: Options) -> None:
    """Time everything on a CPU, print the table and write the files."""
    folder = files.make_folder(options.output)
    peak = peak_flops()
    machine = f"{len(cores())} x {processor()}, {peak / 1e9:.0f} GFLOP/s in float32 matrix products"
    machine += f", jax {jax.__version__}"
    print(f"{machine}; images a second, medians of {options.rounds} rounds")
    results = []
    for variant in options.variants:
        for batch_size in options.batch_sizes:
            results.append(measure(options, variant, batch_size))
            lines = list(table(results, peak))
            print("\n".join(lines if len(results) == 1 else lines[-len(PHASES) :]), flush=True)
            images = options.images or IMAGES
            content = {"machine": machine, "peak_flops": peak, "images": images, "results": results}
            files.write(folder / "throughput.json", json.dumps(content, indent=1) + "\n")
    subtitle = f"{machine}; medians of {options.rounds} rounds."
    plots.save(draw(results, peak, subtitle), folder / "throughput.png")
    print(f"wrote {folder / 'throughput.json'}\nwrote {folder / 'throughput.png'}")


def gpu_plan(options: Options) -> gpu_throughput.Plan:
    """Return what is timed on a GPU.

    Raises:
        ValueError: an unknown program, or images that do not fill the batches.
    """
    if unknown := [name for name in options.programs if name not in gpu_throughput.PROGRAMS]:
        raise ValueError(f"there is no program {unknown[0]}: choose of {', '.join(gpu_throughput.PROGRAMS)}")
    images = options.images or gpu_throughput.IMAGES
    if uneven := [size for size in options.batch_sizes if images % size]:
        raise ValueError(f"images must be a multiple of the batch sizes; {images} is none of {uneven[0]}")
    chosen = vars(options) | {"programs": options.programs or gpu_throughput.DEFAULT, "images": images}
    return gpu_throughput.Plan(**chosen)


def main() -> None:
    """Time everything on this machine."""
    options = tyro.cli(Options, description=__doc__)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the workers need the memory
    if jax.default_backend() != "gpu":
        measure_all(options)
        return
    try:
        plan = gpu_plan(options)
    except ValueError as error:
        sys.exit(f"error: {error}")
    gpu_throughput.run(plan)


if __name__ == "__main__":
    main()
