"""A run's log for TensorBoard, written by tensorboardX."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnn3 import files
from cnn3.cli import UsageError
from cnn3.config import RunConfig
from cnn3.runs.folder import read_history
from cnn3.runs.result import History

FOLDER = "tensorboard"  # in the run's folder
TRAIN_SPLITS = ("train", "validation")


def check_installed() -> None:
    """Make sure that tensorboardX can be imported.

    Raises:
        UsageError: it cannot.
    """
    try:
        import tensorboardX  # noqa: F401  # type: ignore[import-untyped]
    except ImportError:
        raise UsageError("--log tensorboard needs tensorboardX: pip install 'cnn3[tensorboard]'") from None


class TensorBoardLog:
    """Writes the log of a run: its configuration, a point for each epoch and the curves.

    It is written anew by each command, with the epochs of earlier ones, so that nothing is in it twice.
    """

    def __init__(self, run: Path, config: RunConfig) -> None:
        """Take the run's folder, in which nothing is written yet, and its configuration."""
        self._run = run
        self._config = config
        self._written = 0  # epochs
        self._writer: Any = None

    def on_epoch(self, _: dict[str, Any]) -> None:
        """Write the epochs that have ended."""
        self._write(read_history(self._run))

    def finish(self, history: History, curves: Path) -> None:
        """Write what is missing of the whole history, and a picture of the curves; close the log."""
        self._write(history)
        with Image.open(curves) as image:
            self._writer.add_image("curves", np.asarray(image.convert("RGB")), len(history), dataformats="HWC")
        self._writer.close()

    def _write(self, history: History) -> None:
        writer = self._open() if self._writer is None else self._writer
        for record in history[self._written :]:
            epoch = record["epoch"] + 1
            for split in TRAIN_SPLITS:
                for metric, value in record[split].items():
                    writer.add_scalar(f"{metric}/{split}", value, epoch)
            writer.add_scalar("images_per_second", record["images_per_second"], epoch)
        self._written = len(history)
        writer.flush()

    def _open(self) -> Any:
        from tensorboardX import SummaryWriter  # type: ignore[import-untyped]

        folder = self._run / FOLDER
        files.remove(folder)
        self._writer = SummaryWriter(str(folder))
        code = "".join(f"    {line}\n" for line in self._config.to_json().splitlines())  # in Markdown
        self._writer.add_text("configuration", code, 0)
        return self._writer
