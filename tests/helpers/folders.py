"""The content of run folders."""

import json
from pathlib import Path
from typing import Any

TIMES = ("seconds", "images_per_second")
SUMS = "SHA256SUMS"


def content(folder: Path) -> dict[str, Any]:
    """Return the content of a run's folder except times and checksums."""
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".safetensors", ".json")}
    summary = json.loads(files.pop("summary.json"))
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    for record in (summary, *history):
        for name in TIMES:
            record.pop(name, None)
    return {**files, "summary": summary, "history": history}


def file_names(folder: Path) -> list[str]:
    """Return the files in a folder except its lock, which is empty and remains."""
    names = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in names if name != ".lock")


def file_bytes(folder: Path) -> dict[str, bytes]:
    """Return the content of each file in a folder except its lock."""
    return {name: (folder / name).read_bytes() for name in file_names(folder)}
