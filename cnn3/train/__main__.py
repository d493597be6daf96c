"""Train one configuration: every field of `cnn3.RunConfig` is an option.

The defaults are the original study's. A starting point replaces some of them, and the other options override it.

The command prints where the run lies, its curves and its test accuracy. Given again, it resumes a run that was
interrupted and reads one that has finished.
"""

import sys
from collections.abc import Sequence

from cnn3 import cli
from cnn3.cli import UsageError
from cnn3.train.options import TrainOptions, name_option, parse

PROGRAM = "python -m cnn3.train"
EXAMPLES = (
    "--dataset digits --variant batch_norm --optimizer.learning-rate 3e-4 --epochs 3",
    "--config results/digits/runs/NAME/config.json --seed 7",
)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns:
        the exit status: 0, or 1 if training diverged, or 2 after any other error.
    """
    cli.tolerate_lost_output()
    try:
        return _train(parse(PROGRAM, __doc__ or "", args, EXAMPLES))
    except UsageError as error:
        return cli.report(error)


def _train(options: TrainOptions) -> int:
    """Train, and return the exit status.

    Raises:
        UsageError: an error whose message names the option or the file.
    """
    from cnn3.config import ConfigError  # these import JAX, which help and wrong options need not wait for
    from cnn3.data.splits import DataError
    from cnn3.files import OutputError
    from cnn3.runs.interruption import interruptible
    from cnn3.train.work import train
    from cnn3.weights.torch_layout import WeightsError

    try:
        with interruptible(), cli.verbosity(options.files.quiet, options.files.verbose):
            return train(options)
    except (ConfigError, DataError, OutputError, WeightsError) as error:
        raise UsageError(name_option(str(error))) from None


if __name__ == "__main__":
    sys.exit(main())
