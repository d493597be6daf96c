"""Safetensors files, read as any other: the library maps them into memory, which some file systems cannot do."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from safetensors import deserialize

SIZED = {"F": "float", "I": "int", "U": "uint"}
TYPES = {f"{letter}{bits}": np.dtype(f"{name}{bits}") for letter, name in SIZED.items() for bits in (16, 32, 64)}
TYPES |= {"I8": np.dtype("int8"), "U8": np.dtype("uint8"), "BOOL": np.dtype("bool"), "BF16": jnp.dtype("bfloat16")}
LONGEST_HEADER = 100_000_000  # bytes; the library takes no longer one


def read(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return a file's tensors and its metadata.

    Raises:
        OSError: it cannot be read.
        SafetensorError: it is no safetensors file.
        KeyError: a tensor is of a type that is not read here, as one of 8 bits.
    """
    content = Path(path).read_bytes()
    tensors = {
        name: np.frombuffer(tensor["data"], TYPES[tensor["dtype"]]).reshape(tensor["shape"])
        for name, tensor in deserialize(content)
    }
    return tensors, _metadata(content[8 : 8 + _header_length(content)])


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
