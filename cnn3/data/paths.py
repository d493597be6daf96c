"""Where CIFAR-10 and CIFAR-100 are: TFDS's folder, and whether it may be written."""

import os
from pathlib import Path

VERSION = "3.0.2"  # of TFDS's CIFAR-10 and CIFAR-100
DATA_DIR_HINT = "name another folder with --data-dir or TFDS_DATA_DIR"


def tfds_folder(data_dir: str | os.PathLike | None) -> Path:
    """Return TFDS's folder: `data_dir`, else TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    folder = os.environ.get("TFDS_DATA_DIR", "~/tensorflow_datasets") if data_dir is None else data_dir
    return Path(os.path.expanduser(folder))  # unlike Path.expanduser, it leaves the ~ of an unknown user alone


def records_folder(root: Path, name: str) -> Path:
    """Return where TFDS keeps the records of `cifar10` or `cifar100`."""
    return root / name / VERSION


def is_prepared(folder: Path) -> bool:
    """Whether TFDS has finished preparing a folder."""
    return (folder / "dataset_info.json").exists()


def is_writable(folder: Path) -> bool:
    """Whether a folder may be written; its permissions are respected even when running as root."""
    return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)
