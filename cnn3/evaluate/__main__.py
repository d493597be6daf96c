"""Measure weights on a split of a data set: their loss, accuracy and number of images.

Both are means over all images of the split, in inference mode. If the weights lie in a run's folder, the defaults of
the other options are those of the run.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any

from cnn3 import cli
from cnn3.cli import UsageError
from cnn3.evaluate.options import Options

PROGRAM = "python -m cnn3.evaluate"
EXAMPLES = (
    "results/digits/runs/NAME/best.safetensors --split validation",
    "flip --dataset cifar10 --json",
)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        the exit status: 0, or 2 after an error. SIGINT and SIGTERM end the process, with status 130 and 143.
    """
    cli.tolerate_lost_output()
    try:
        options = cli.parse(Options, PROGRAM, __doc__ or "", args, EXAMPLES)
    except UsageError as error:
        return cli.report(error)

    from cnn3.config import ConfigError  # these import JAX, which help and wrong options need not wait for
    from cnn3.data.splits import DataError
    from cnn3.evaluate.measure import measure
    from cnn3.files import OutputError
    from cnn3.runs.interruption import interruptible
    from cnn3.weights.torch_layout import WeightsError

    try:
        with interruptible("interrupted"):
            measured = measure(options)
    except (UsageError, ConfigError, DataError, OutputError, WeightsError) as error:
        return cli.report(error)
    print(json.dumps(measured) if options.json else _describe(measured))
    return 0


def _describe(measured: dict[str, Any]) -> str:
    split = f"{measured['dataset']}, {measured['split']}, {measured['n']} images"
    return f"{split}: loss {measured['loss']:.4f}, accuracy {measured['accuracy']:.4f}"


if __name__ == "__main__":
    sys.exit(main())
