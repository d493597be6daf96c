"""The command line of the whole study: which options its experiments have."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated

import tyro

from cnn3.cli import INT_OPTION
from experiments.support.options import Options

MARKDOWN = "report.md"
SWEEPS = ("hyperparameters", "optimizers", "architecture", "audit")  # the experiments with most of the runs

_SAME_AS_EPOCHS = tyro.conf.arg(help_behavior_hint="(default: as --epochs)")
_SAME_AS_LIMIT = tyro.conf.arg(help_behavior_hint="(default: as --limit)")


@dataclass(frozen=True)
class Reproduction(Options):
    """The command line of `experiments.reproduce`.

    Args:
        sweep_epochs: the maximum number of epochs of a run in the sweeps.
        sweep_limit: train the runs of the sweeps on the first N training images only.
        markdown: where to write the report in Markdown; its links to pictures are relative to this file.
    """

    sweep_epochs: Annotated[int | None, INT_OPTION, _SAME_AS_EPOCHS] = None
    sweep_limit: Annotated[int | None, INT_OPTION, _SAME_AS_LIMIT] = None
    markdown: Annotated[
        Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=f"(default: {MARKDOWN} in the output folder)")
    ] = None

    def options_for(self, experiment: str) -> Options:
        """Return the options of an experiment."""
        options = Options(**{field.name: getattr(self, field.name) for field in fields(Options)})
        if experiment == "audit":
            options = replace(options, protocol="corrected")  # the audit runs both protocols
        if experiment not in SWEEPS:
            return options
        epochs = self.epochs if self.sweep_epochs is None else self.sweep_epochs
        limit = self.limit if self.sweep_limit is None else self.sweep_limit
        return replace(options, epochs=epochs, limit=limit)
