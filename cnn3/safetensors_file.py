"""Safetensors files: mapped into memory, and where a file system cannot do that read as any other."""

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load

LONGEST_HEADER = 100_000_000  # bytes; the library takes no longer one


def read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return a file's tensors and its metadata.

    Raises:
        OSError: it cannot be read.
        SafetensorError: it is no safetensors file.
        AttributeError, KeyError: a tensor is of a type that NumPy has not, as one of 8 bits.
    """
    try:
        with safe_open(path, framework="np") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except OSError:  # the library does not tell one that cannot be mapped from one that cannot be read
        content = Path(path).read_bytes()
        return load(content), _metadata(content[8 : 8 + _header_length(content)])


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return a file's metadata, which stand at its beginning.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no safetensors file.
    """
    with open(path, "rb") as file:
        return _metadata(file.read(min(_header_length(file.read(8)), LONGEST_HEADER)))


def _header_length(content: bytes) -> int:
    return int.from_bytes(content[:8], "little")


def _metadata(header: bytes) -> dict[str, str]:
    fields = json.loads(header)
    if not isinstance(fields, dict):
        raise ValueError("its header is not a JSON object")
    return fields.get("__metadata__") or {}
