"""What a run leaves in its folder."""

import json
from pathlib import Path
from typing import Any

TIMES = ("seconds", "images_per_second")
SUMS = "SHA256SUMS"


def content(folder: Path) -> dict[str, Any]:
    """Return all that a run leaves, but for times and checksums."""
    read = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".safetensors", ".json")}
    summary = json.loads(read.pop("summary.json"))
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    for record in (summary, *history):
        for name in TIMES:
            record.pop(name, None)
    return {**read, "summary": summary, "history": history}
