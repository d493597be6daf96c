"""The log for TensorBoard, read back record by record."""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from cnn3.data.loading import load
from cnn3.runs import loop
from cnn3.runs.fit import fit
from cnn3.train.__main__ import main
from tests.train.test_train import ARGS, CONFIG, folder_in

pytestmark = pytest.mark.usefixtures("quick_to_compile")


def read_events(folder: Path) -> tuple[dict[tuple[str, int], float], dict[str, str], list[str]]:
    """Return scalars by tag and step, texts by tag, and the tags of images, each of which is there once.

    An event file is a sequence of records: their length and its checksum, 12 bytes, and their content and its
    checksum, 4 bytes.
    """
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    (path,) = folder.glob("events.out.tfevents.*")
    content, start = path.read_bytes(), 0
    scalars: dict[tuple[str, int], float] = {}
    texts: dict[str, str] = {}
    images: list[str] = []
    while start < len(content):
        (length,) = struct.unpack_from("<Q", content, start)
        event = event_pb2.Event.FromString(content[start + 12 : start + 12 + length])
        start += length + 16
        for value in event.summary.value:
            if value.HasField("image"):
                images.append(value.tag)
            elif value.HasField("tensor"):
                texts[value.tag] = value.tensor.string_val[0].decode()
            else:
                assert (value.tag, event.step) not in scalars
                scalars[value.tag, event.step] = value.simple_value
    return scalars, texts, images


def check_log(run: Path) -> None:
    """Check that the log has what the run's files have."""
    scalars, texts, images = read_events(run / "tensorboard")
    expected: dict[tuple[str, int], float] = {}
    for step, line in enumerate((run / "history.jsonl").read_text().splitlines(), 1):
        record: dict[str, Any] = json.loads(line)
        expected["images_per_second", step] = record["images_per_second"]
        for split in ("train", "validation"):
            for metric in ("loss", "accuracy"):
                expected[f"{metric}/{split}", step] = record[split][metric]
    assert scalars == pytest.approx(expected, rel=1e-6)
    ((_, text),) = texts.items()
    assert json.loads(text) == json.loads((run / "config.json").read_text())
    assert images == ["curves"]


def test_the_log_has_every_epoch_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was cut off after its first epoch, of which nothing was logged; then resumed; then read."""
    pytest.importorskip("tensorboardX")
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)

    def cut_off(record: dict[str, Any]) -> None:
        raise RuntimeError

    run = folder_in(tmp_path)
    with pytest.raises(RuntimeError):
        fit(CONFIG, load("digits", limit=150), run, on_epoch=cut_off)
    args = [*ARGS, "--output", str(tmp_path), "--log", "tensorboard"]
    for _ in range(2):
        assert main(args) == 0
        assert f"log: tensorboard --logdir {tmp_path}\n" in capsys.readouterr().out
        check_log(run)


def test_without_tensorboardx_the_error_says_how_to_install_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert main([*ARGS, "--output", str(tmp_path / "new"), "--log", "tensorboard"]) == 2
    assert capsys.readouterr().err == ("error: --log tensorboard needs tensorboardX: pip install 'cnn3[tensorboard]'\n")
    assert not (tmp_path / "new").exists()
