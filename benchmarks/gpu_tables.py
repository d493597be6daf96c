"""The table and the figure of speeds on a GPU."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from cnn3 import VARIANTS, RunConfig, plots
from cnn3.analysis.cost import training_flops

Measured = dict[str, Any]  # timings, memory and seconds of compiling, or why there are none: `failed`

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
BFLOAT16 = ("bf16", "amp")  # how the names of programs end whose products are in bfloat16


def precision(name: str) -> str:
    """Return the precision of a program's products."""
    return "bf16" if name.endswith(BFLOAT16) else "fp32"


def medians(measured: Measured) -> dict[str, float]:
    """Return the median speeds of training and evaluation; there are none of a program that has failed."""
    return {what: statistics.median(rates) for what, rates in measured.get("rates", {}).items()}


def rows(result: Mapping[str, Any], peaks: Mapping[str, float]) -> Iterator[str]:
    """Yield a line for each program; cnn3 is compared with it in the same precision."""
    programs: Mapping[str, Measured] = result["programs"]
    own = {precision(name): medians(of) for name, of in programs.items() if name.startswith("cnn3")}
    flops = training_flops(RunConfig(VARIANTS[result["variant"]]))
    for name, measured in programs.items():
        cells = [result["variant"], str(result["batch_size"]), name]
        if "failed" in measured:
            cells += ["failed", *[""] * (len(COLUMNS) - len(cells) - 1)]
        else:
            compared = {} if name.startswith("cnn3") else own.get(precision(name), {})
            for what, rate in medians(measured).items():
                cells += [f"{rate:.0f}", f"{compared[what] / rate:.2f}" if compared else ""]
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
            places = [x + width * (i - (len(names) - 1) / 2) for x in range(len(groups))]
            axes.bar(places, speeds, 0.92 * width, color=color, label=name)
        axes.set_xticks(range(len(groups)), [f"batch {group['batch_size']}" for group in groups])
        axes.set_title(variant.replace("_", " "), fontsize=11)
        axes.set_ylabel("Training images/s")
        axes.spines[["top", "right"]].set_visible(False)
    if names:
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure
