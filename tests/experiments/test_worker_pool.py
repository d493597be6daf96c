"""Several runs at a time end as each would alone, whatever happens to the processes."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path

import psutil
import pytest

from cnn3 import OutputError, RunConfig
from cnn3.runs.machine import cores
from experiments.support import placement, worker_pool
from experiments.support.placement import Placement, inherit_placement, share_gpus
from experiments.support.runner import identity
from experiments.support.worker import Job
from experiments.support.worker_pool import KilledError, train
from tests.helpers import fake_work
from tests.helpers.processes import QUICK_TO_COMPILE, ROOT
from tests.runs.test_kills import COMMAND, results

HERE = Placement(frozenset(sorted(cores())[:1]), {"WHERE": "here"})


def fake_jobs(*labels: str) -> list[Job]:
    data = "digits", None, None, identity, "same-code"
    return [Job(RunConfig(seed=seed), Path("nowhere"), label, *data) for seed, label in enumerate(labels)]


@pytest.fixture
def nothing_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_pool, "work", fake_work.work)


@pytest.mark.usefixtures("nothing_trained")
@pytest.mark.whole
def test_a_killed_run_is_tried_again_and_a_busy_run_comes_last(capfd, caplog):
    finished = [job.label for job in train(fake_jobs("busy", "killed once", "well"), [HERE])]
    assert finished == ["killed once", "well", "busy"]
    assert [record.getMessage() for record in caplog.records] == [
        "killed once: its process was killed (SIGKILL); it is tried again",
        *(f"{label}: 1 cores, here" for label in finished),
    ]
    lines = capfd.readouterr().err.splitlines()
    assert len([line for line in lines if "epoch 1/1" in line]) == 3
    assert "WHERE" not in os.environ


@pytest.mark.usefixtures("nothing_trained")
@pytest.mark.whole
def test_a_run_killed_twice_is_reported_after_the_others_have_ended():
    finished: list[str] = []
    with pytest.raises(KilledError, match=r"processes of killed twice were killed twice: .* fewer --jobs"):
        finished.extend(job.label for job in train(fake_jobs("killed twice", "well"), [HERE]))
    assert finished == ["well"]


@pytest.mark.usefixtures("nothing_trained")
@pytest.mark.parametrize(("label", "error"), [("impossible", OutputError), ("defect", RuntimeError)])
def test_an_error_ends_all_processes(label, error):
    with pytest.raises(error, match=r"the disk is full|the process of defect ended with status 3"):
        list(train(fake_jobs("endless", label), [HERE, HERE]))
    assert active_children() == []


def test_placements_have_the_same_number_of_cores(monkeypatch):
    monkeypatch.setattr(placement, "cores", lambda: set(range(2, 9)))
    assert [sorted(process.cores) for process in placement.placements(1)] == [[2, 3, 4, 5, 6, 7, 8]]
    assert [sorted(process.cores) for process in placement.placements(3)] == [[2, 3], [4, 5], [6, 7]]
    assert [sorted(process.cores) for process in placement.placements("auto")] == [[core] for core in range(2, 9)]
    assert [sorted(process.cores) for process in placement.placements(8)][6:] == [[8], [2]]
    assert all(process.env == {} for process in placement.placements(2))


def test_gpus_are_assigned_in_turn_and_shared(monkeypatch):
    monkeypatch.setattr(placement.jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(placement.jax, "local_device_count", lambda: 2)
    monkeypatch.delenv(placement.VISIBLE, raising=False)
    assert [process.env[placement.VISIBLE] for process in placement.placements(3)] == ["0", "1", "0"]
    monkeypatch.setenv(placement.VISIBLE, "5,3")
    assert [process.env[placement.VISIBLE] for process in placement.placements("auto")] == ["5", "3"]
    monkeypatch.setenv(placement.PREALLOCATE, "true")
    share_gpus()
    assert os.environ[placement.PREALLOCATE] == "true"  # the user's setting has priority


def test_a_placement_is_inherited_and_restored():
    before = cores(), dict(os.environ), signal.pthread_sigmask(signal.SIG_BLOCK, [])
    with inherit_placement(HERE):
        script = "import os, signal; print(len(os.sched_getaffinity(0)), os.environ['WHERE'])"
        assert subprocess.check_output([sys.executable, "-c", script], text=True) == "1 here\n"
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    assert (cores(), dict(os.environ), signal.pthread_sigmask(signal.SIG_BLOCK, [])) == before


def start(output: Path, *args: str) -> subprocess.Popen[str]:
    """Start the tiny experiment; it handles SIGINT even where tests run in the background."""
    script = (
        "import runpy, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "sys.argv = sys.argv[1:]; "
        "runpy.run_module('tests.helpers.tiny_experiment', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-c", script, *COMMAND[2:], "--output", str(output), *args]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | QUICK_TO_COMPILE, stdout=pipe, stderr=pipe, text=True)


def wait_until(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children() if "spawn_main" in " ".join(child.cmdline())]


@pytest.mark.whole
@pytest.mark.skipif(sys.platform != "linux", reason="a process cannot be kept to some cores")
def test_runs_two_at_a_time_survive_interruption_and_a_kill_unchanged(tmp_path: Path) -> None:
    def epochs(output: Path) -> int:
        return sum(len(path.read_text().splitlines()) for path in output.glob("digits/runs/*/history.jsonl"))

    parallel, sequential = tmp_path / "parallel", tmp_path / "sequential"
    process = start(parallel, "--jobs", "2")
    wait_until(process, lambda: any(parallel.glob("digits/runs/*/checkpoints/*.sha256sums")))
    orphans = workers(process)
    assert len(orphans) == 2
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "interrupted; run the same command to resume"
    assert psutil.wait_procs(orphans, timeout=10)[1] == []
    epochs_before = epochs(parallel)
    assert epochs_before < 8

    process = start(parallel, "--jobs", "2")
    wait_until(process, lambda: epochs(parallel) > epochs_before)
    workers(process)[0].kill()
    _, stderr = process.communicate()
    assert process.returncode == 0, stderr
    killed = r"^(plain|batch_norm), seed 3136 \([12] of 2\): its process was killed \(SIGKILL\); it is tried again$"
    assert len(re.findall(killed, stderr, re.MULTILINE)) == 1  # other lines may report an interrupted checkpoint
    assert "Traceback" not in stderr
    assert "resuming after epoch" in stderr

    with inherit_placement(Placement(HERE.cores, {})):
        process = start(sequential)
    process.communicate()
    assert process.returncode == 0
    assert results(parallel) == results(sequential)
