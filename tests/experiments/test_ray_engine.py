"""Runs on a Ray cluster of several nodes end as each would on this machine, whatever happens to nodes and driver."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from tests.helpers.folders import SUMS
from tests.helpers.processes import QUICK_TO_COMPILE, ROOT
from tests.helpers.ray_study import EPOCHS
from tests.runs.test_kills import results

pytestmark = [
    pytest.mark.ray,
    pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning"),  # Ray forks, and other tests' modules have started JAX
]
ENV = {**QUICK_TO_COMPILE, "PYTHONPATH": str(ROOT), "RAY_worker_niceness": str(os.nice(0)), "JAX_PLATFORMS": "cpu"}
OBJECT_STORE_BYTES = 100 * 2**20
TIMEOUT_SECONDS = 900.0  # if the machine does much else


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start a cluster of three nodes, each for one run at a time, and a larger one that has other code."""
    cluster_utils = pytest.importorskip("ray.cluster_utils", reason="pip install 'cnn3[ray]'")
    other = tmp_path_factory.mktemp("other")
    for package in ("cnn3", "experiments"):
        shutil.copytree(ROOT / package, other / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (other / "cnn3" / "training" / "step.py").open("a") as file:
        file.write("CHANGED = True\n")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENV, "RAY_USAGE_STATS_ENABLED": "0"}.items():
            patch.setenv(name, value)
        resources = {"num_cpus": 1, "object_store_memory": OBJECT_STORE_BYTES}
        cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={**resources, "include_dashboard": False})
        nodes = [cluster.add_node(**resources) for _ in range(2)]
        patch.setenv("PYTHONPATH", str(other))
        cluster.add_node(**{**resources, "num_cpus": 2})
    yield SimpleNamespace(address=cluster.address, nodes=nodes)
    cluster.shutdown()


@contextmanager
def study(output: Path, *args: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the study in a folder in which Ray finds no code; its standard error is added to the file `errors`."""
    command = [sys.executable, "-m", "tests.helpers.ray_study", "--output", str(output), *args]
    output.mkdir(exist_ok=True)
    with errors(output).open("ab") as file:
        process = subprocess.Popen(command, cwd=output, env=os.environ | ENV | env, stderr=file)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def errors(output: Path) -> Path:
    return output / "errors"


def finish(output: Path, *args: str, **env: str) -> str:
    """Run the study to its end, and return its standard error."""
    with study(output, *args, **env) as process:
        assert process.wait(TIMEOUT_SECONDS) == 0, errors(output).read_text()
    return errors(output).read_text()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert process.poll() is None, errors(output).read_text()
        assert time.monotonic() < deadline, errors(output).read_text()
        time.sleep(0.1)


def checkpoints(output: Path) -> int:
    """Return the number of runs with a checkpoint in the driver's folder."""
    return len({path.parent for path in output.glob("digits/runs/*/checkpoints/*.sha256sums")})


def tasks() -> list[psutil.Process]:
    """Return the processes that train a run in a task of Ray, wherever in this machine's cluster."""
    return [process for process in psutil.process_iter(["cmdline"]) if is_task(process.info["cmdline"])]


def is_task(command: list[str] | None) -> bool:
    return re.match(r"ray::(plain|batch_norm), seed", " ".join(command or [])) is not None


def node_processes(node: Any) -> list[psutil.Process]:
    started = [psutil.Process(info.process.pid) for infos in node.all_processes.values() for info in infos]
    return [process for parent in started for process in (parent, *parent.children(recursive=True))]


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the results of the same study trained in processes of this machine, a core for each run."""
    output = tmp_path_factory.mktemp("processes")
    finish(output, "--jobs", "auto")
    return results(output)


def test_a_killed_driver_and_a_killed_node_change_nothing(cluster: Any, expected: Any, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    output, args = tmp_path / "ray", ("--engine", "ray", "--address", cluster.address)
    env = {"CNN3_TEST_GATE": str(gate)}

    with study(output, *args, **env) as driver:
        wait_until(lambda: checkpoints(output) == 3, driver, output)  # all that can run at a time
        orphans = tasks()
        assert len(orphans) >= 3
    assert psutil.wait_procs(orphans, timeout=60)[1] == []
    assert not list(output.glob(f"digits/runs/*/{SUMS}"))
    refused = re.findall(r"^([\d.]+ has code \w+, not \w+): it gets no runs", errors(output).read_text(), re.MULTILINE)
    assert len(refused) == 1
    errors(output).unlink()

    with study(output, *args, **env) as driver:
        wait_until(lambda: errors(output).read_text().count("epoch 2/4: ") == 3, driver, output)  # all are at the gate
        assert (
            errors(output).read_text().count("resuming after epoch 1/4") >= 2
        )  # the fourth run may be one of the three
        victim = next(node for node in cluster.nodes if any(is_task(p.cmdline()) for p in node_processes(node)))
        for process in node_processes(victim):
            process.send_signal(signal.SIGKILL)
        wait_until(lambda: "it is tried again" in errors(output).read_text(), driver, output)
        gate.touch()
        assert driver.wait(TIMEOUT_SECONDS) == 0, errors(output).read_text()
    text = errors(output).read_text()
    killed = r"seed \d+ \(\d of \d\): its process on [\d.]+ was killed \(.+\); it is tried again$"
    assert len(re.findall(killed, text, re.M)) == 1
    assert "Traceback" not in text
    assert text.count(f"epoch {EPOCHS}/{EPOCHS}: ") == len(expected["runs"]) == 4
    assert text.count("epoch 1/4: ") == 1  # of the run that had to wait; nothing is trained twice
    assert results(output) == expected


def test_nodes_train_in_a_shared_folder(cluster: Any, expected: Any, tmp_path: Path) -> None:
    finish(tmp_path, "--engine", "ray", "--address", cluster.address, "--shared")
    assert results(tmp_path) == expected


def test_a_node_with_other_code_is_refused_by_name(cluster: Any, tmp_path: Path) -> None:
    with study(tmp_path, "--engine", "ray", "--address", cluster.address, "--cpus-per-run", "2") as driver:
        assert driver.wait(TIMEOUT_SECONDS) == 2
    last = errors(tmp_path).read_text().splitlines()[-1]
    node, code = cluster.address.split(":")[0], "[0-9a-f]{16}"
    assert re.fullmatch(
        rf"error: {node} has code {code}, not {code}: install the same versions on the nodes as here", last
    )


def test_an_address_without_a_cluster_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    with study(tmp_path, "--engine", "ray", "--address", "127.0.0.1:1") as driver:
        assert driver.wait(TIMEOUT_SECONDS) == 2
    message = r"error: cannot reach a Ray cluster at 127\.0\.0\.1:1 \(.*refused\): start one with ray start --head, .+"
    assert re.fullmatch(message, errors(tmp_path).read_text().strip())
