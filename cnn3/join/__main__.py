"""Join trained networks into one that averages their predictions.

The networks differ in nothing but their weights, as the runs of several seeds do. Each is a column of the joined one,
whose logits are the mean of their log probabilities. cnn3.predict and cnn3.evaluate take the file like any other.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from cnn3 import cli
from cnn3.cli import UsageError
from cnn3.config import ProtocolName, discards_last_norm

PROGRAM = "python -m cnn3.join"
EXAMPLES = (
    "results/digits/runs/*/best.safetensors",
    "FIRST.safetensors SECOND.safetensors --output both.safetensors",
)

_WEIGHTS = tyro.conf.arg(metavar="WEIGHTS...", help_behavior_hint="")
_PROTOCOL = tyro.conf.arg(metavar="{corrected,published}", help_behavior_hint="(default: what the files say)")


@dataclass(frozen=True)
class Options:
    """The command line.

    Args:
        weights: two safetensors files or more, such as best.safetensors in the folders of runs.
        output: the file to write.
        protocol: the protocol of the training, for weight files that do not record it: published discards the last
            norm.
    """

    weights: Annotated[tuple[Path, ...], tyro.conf.Positional, _WEIGHTS]
    output: Annotated[Path, tyro.conf.arg(metavar="FILE.safetensors")] = Path("joined.safetensors")
    protocol: Annotated[ProtocolName | None, _PROTOCOL] = None


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        the exit status: 0, or 2 after an error.
    """
    cli.tolerate_lost_output()
    try:
        options = cli.parse(Options, PROGRAM, __doc__ or "", args, EXAMPLES)
        if len({path.resolve() for path in options.weights}) < len(options.weights):
            raise UsageError("a file is named twice")
    except UsageError as error:
        return cli.report(error)

    from cnn3.files import OutputError  # these import JAX, which help and wrong options need not wait for
    from cnn3.weights.join import join
    from cnn3.weights.torch_layout import WeightsError
    from cnn3.weights.weight_files import load_model, save_weights

    discard = discards_last_norm(options.protocol)
    try:
        joined = join([load_model(path, discard_last_norm=discard) for path in options.weights])
        save_weights(options.output, *joined)
    except (OutputError, WeightsError) as error:
        return cli.report(error)
    print(f"wrote {options.output}: {joined.model.config.columns} columns")
    return 0


if __name__ == "__main__":
    sys.exit(main())
