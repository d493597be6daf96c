"""Training in a real notebook's kernel: one output whose bar moves, and an interrupted cell after which it goes on."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.processes import QUICK_TO_COMPILE, ROOT

pytestmark = pytest.mark.whole
SETUP = """
from dataclasses import replace
import cnn3
dataset = cnn3.load("digits", limit=128)
model = cnn3.ModelConfig(channels=(2, 2, 2), hidden=(8,))
config = cnn3.RunConfig(model=model, dataset="digits", limit=128, batch_size=64, epochs=100_000)
"""
TIMEOUT_SECONDS = 120.0


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[tuple[Any, Any]]:
    """Start a kernel in an empty folder, and return its manager and a client."""
    manager = pytest.importorskip("jupyter_client.manager", reason="pip install -e '.[docs]'")
    pytest.importorskip("ipykernel", reason="pip install -e '.[docs]'")
    environment = {**QUICK_TO_COMPILE, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    started, client = manager.start_new_kernel(cwd=str(tmp_path), env=os.environ | environment)
    yield started, client
    client.stop_channels()
    started.shutdown_kernel(now=True)


def run(client: Any, code: str, on_output: Any = lambda outputs: None) -> tuple[str, list[tuple[str, str]]]:
    """Run a cell, and return its status and its outputs: the kind of each, and its text."""
    outputs = list[tuple[str, str]]()

    def collect(message: dict[str, Any]) -> None:
        content = message["content"]
        if message["msg_type"] in ("display_data", "update_display_data"):
            outputs.append((message["msg_type"], content["data"]["text/plain"]))
        elif message["msg_type"] in ("stream", "error"):
            outputs.append((message["msg_type"], content.get("text") or content["ename"]))
        else:
            return
        on_output(outputs)

    reply = client.execute_interactive(code, allow_stdin=False, timeout=TIMEOUT_SECONDS, output_hook=collect)
    return reply["content"]["status"], outputs


def test_an_interrupted_cell_leaves_a_kernel_that_trains_on(kernel: tuple[Any, Any]) -> None:
    manager, client = kernel
    assert run(client, SETUP)[0] == "ok"

    def interrupt(outputs: list[tuple[str, str]]) -> None:
        if sum("accuracy" in text for _, text in outputs) == 2:
            manager.interrupt_kernel()

    status, outputs = run(client, "cnn3.fit(config, dataset, label='plain')", interrupt)
    assert (status, outputs[-1]) == ("error", ("error", "KeyboardInterrupt"))
    assert [kind for kind, _ in outputs].count("display_data") == 1

    status, outputs = run(client, "result = cnn3.fit(replace(config, epochs=3), dataset, label='plain')")
    assert status == "ok"
    assert [kind for kind, _ in outputs].count("display_data") == 1
    assert "3/3" in outputs[-1][1]
    assert len(outputs) > 1
