"""Safetensors files: mapped into memory, or read like any other file where the file system cannot map them."""

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load

MAX_HEADER_BYTES = 100_000_000  # the library's own limit


def read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return a file's tensors and its metadata.

    Raises:
        OSError: it cannot be read.
        SafetensorError: it is not a safetensors file.
        AttributeError, KeyError: a tensor has a type that NumPy lacks, such as an 8-bit float.
    """
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError:  # the library raises the same for a file that cannot be mapped and one that cannot be read
        content = Path(path).read_bytes()
        return load(content), _metadata(content[8 : 8 + _header_length(content)])


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return a file's metadata, reading only its header.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not a safetensors file.
    """
    with open(path, "rb") as file:
        return _metadata(file.read(min(_header_length(file.read(8)), MAX_HEADER_BYTES)))


def _header_length(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _metadata(header: bytes) -> dict[str, str]:
    fields = json.loads(header)
    if not isinstance(fields, dict):
        raise ValueError("its header is not a JSON object")
    return fields.get("__metadata__") or {}
