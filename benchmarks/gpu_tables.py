"""The table and the figure of speeds on a GPU."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from cnn3 import VARIANTS, RunConfig, plots
from cnn3.analysis.cost import training_flops

Measured = dict[str, Any]  # timings, memory and seconds of compiling, or `failed`: the reason why there are none

COLUMNS = (
    "variant",
    "batch",
    "program",
    "training, images/s",
    "cnn3 is faster by",
    "evaluation, images/s",
    "cnn3 is faster by",
    "limit of training",
    "GPU memory, GB",
    "compile, s",
)
HEADER = (f"| {' | '.join(COLUMNS)} |", f"|{'---|' * 3}{'---:|' * (len(COLUMNS) - 3)}")
BFLOAT16_SUFFIXES = ("bf16", "amp")  # of the names of programs that multiply in bfloat16


def precision(name: str) -> str:
    """Return the precision of a program's products."""
    return "bf16" if name.endswith(BFLOAT16_SUFFIXES) else "fp32"


def medians(measured: Measured) -> dict[str, float]:
    """Return the median speeds of training and evaluation; none for a program that failed."""
    return {phase: statistics.median(rates) for phase, rates in measured.get("rates", {}).items()}


def rows(result: Mapping[str, Any], peaks: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each program; cnn3 is compared with it in the same precision."""
    programs: Mapping[str, Measured] = result["programs"]
    cnn3 = {precision(name): medians(measured) for name, measured in programs.items() if name.startswith("cnn3")}
    flops = training_flops(RunConfig(VARIANTS[result["variant"]]))
    for name, measured in programs.items():
        cells = [result["variant"], str(result["batch_size"]), name]
        if "failed" in measured:
            cells += ["failed", *[""] * (len(COLUMNS) - len(cells) - 1)]
        else:
            reference = {} if name.startswith("cnn3") else cnn3.get(precision(name), {})
            for phase, rate in medians(measured).items():
                cells += [f"{rate:.0f}", f"{reference[phase] / rate:.2f}" if reference else ""]
            limit = peaks[precision(name)] / flops
            cells += [f"{limit:.0f}", f"{measured['memory'] / 1e9:.2f}", f"{measured['compile_seconds']:.1f}"]
        yield f"| {' | '.join(cells)} |"


def draw(results: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw the training speeds: a panel for each variant, a group of bars for each batch size."""
    variants = list(dict.fromkeys(result["variant"] for result in results))
    names = list(dict.fromkeys(name for result in results for name in result["programs"]))
    figure = Figure(figsize=(7.5, 0.8 + 2.3 * len(variants)), layout="constrained")
    panels = figure.subplots(max(len(variants), 1), 1, squeeze=False)[:, 0]
    for axes, variant in zip(panels, variants, strict=False):
        groups = [result for result in results if result["variant"] == variant]
        width = 0.84 / len(names)
        for i, (name, color) in enumerate(zip(names, plots.CLASS_COLORS, strict=False)):
            speeds = [medians(group["programs"].get(name, {})).get("train", 0.0) for group in groups]
            positions = [x + width * (i - (len(names) - 1) / 2) for x in range(len(groups))]
            axes.bar(positions, speeds, 0.92 * width, color=color, label=name)
        axes.set_xticks(range(len(groups)), [f"batch {group['batch_size']}" for group in groups])
        axes.set_title(variant.replace("_", " "), fontsize=11)
        axes.set_ylabel("Training images/s")
        axes.spines[["top", "right"]].set_visible(False)
    if names:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure
