"""The parts of training on a Ray cluster that need no cluster."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest

from cnn3 import OutputError, RunConfig, fit, load
from cnn3.data.digits import read
from cnn3.runs import loop, versions
from cnn3.runs.locks import BusyError, run_lock
from cnn3.runs.machine import cores
from experiments.support import ray_node, ray_worker
from experiments.support.driver_folder import check_out
from experiments.support.ray_worker import CheckpointSender, RunFiles, Task
from experiments.support.runner import identity
from experiments.support.worker import EpochDone, Job, LogMessage, RunEnded, RunStarted
from tests.helpers.folders import SUMS, content
from tests.helpers.processes import ROOT
from tests.runs.recovery.run import CONFIG

pytestmark = pytest.mark.usefixtures("quick_to_compile")


@pytest.fixture(scope="module")
def finished(quick_to_compile: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    fit(CONFIG, load("digits", limit=CONFIG.limit), folder)
    return folder


def make_job(folder: Path, config: RunConfig = CONFIG) -> Job:
    return Job(config, folder, "run", "digits", None, config.limit, identity, "same-code")


def make_task(folder: Path, archive: dict[str, bytes] | None) -> Task:
    source = read()
    return Task(make_job(folder), archive, "here", 0, source.digest, source)


def test_a_run_sends_its_messages_a_checkpoint_and_its_files(finished: Path, tmp_path: Path) -> None:
    messages = [message for batch in ray_worker.train(make_task(tmp_path / "run", {})) for message in batch]
    kinds = [type(message) for message in messages]
    assert kinds == [RunStarted, EpochDone, RunFiles, EpochDone, EpochDone, RunFiles, RunEnded]
    checkpoint, files = (message.archive for message in messages if isinstance(message, RunFiles))
    assert list(checkpoint)[-1] == "checkpoints/0.sha256sums"
    assert list(files)[-1] == SUMS
    assert files["best.safetensors"] == (finished / "best.safetensors").read_bytes()
    assert not (tmp_path / "run").exists()  # the driver's


def test_messages_name_the_drivers_folder(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # as in a new process
    folder = tmp_path / "run"
    archive = {name: (finished / name).read_bytes() for name in ("config.json", "versions.json")}
    archive["checkpoints/0.sha256sums"] = b"damaged"
    messages = [message for batch in ray_worker.train(make_task(folder, archive)) for message in batch]
    (text,) = (message.text for message in messages if isinstance(message, LogMessage))
    assert text.startswith(f"{folder}: no checkpoint is intact")
    archive["config.json"] = replace(CONFIG, epochs=9).to_json().encode()
    ((ended,),) = ray_worker.train(make_task(folder, archive))
    assert isinstance(ended, RunEnded)
    assert isinstance(ended.error, OutputError)
    assert str(ended.error).startswith(f"{folder} holds another run (epochs 9, not 3)")


def test_temporary_folders_of_killed_runs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)  # read the variable again
    folders = tmp_path / f"cnn3-ray-{os.getuid()}"
    program = "from experiments.support import ray_worker\nimport os\nwith ray_worker.scratch_folder(): os._exit(0)"
    with ray_worker.scratch_folder() as living:
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
        assert len(list(folders.iterdir())) == 2
        with ray_worker.scratch_folder() as new:
            assert set(folders.iterdir()) == {living, new}
    assert list(folders.iterdir()) == []


def test_an_unexpected_error_is_raised_where_ray_sees_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_run_epoch", None)
    with pytest.raises(TypeError, match="not callable"):
        list(ray_worker.train(make_task(tmp_path / "run", {})))


def test_other_images_on_the_node_are_refused(tmp_path: Path) -> None:
    task = make_task(tmp_path, {})
    ((ended,),) = ray_worker.train(task._replace(digest="another", job=task.job._replace(data_dir=Path("data"))))
    assert isinstance(ended, RunEnded)
    assert str(ended.error).startswith("digits in data on here has other images than on this machine")


def test_checkpoints_are_sent_at_most_once_a_minute_and_not_after_the_last_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, saved = 0.0, [0]
    sent: list[tuple[int, float]] = []
    monkeypatch.setattr(ray_worker.time, "monotonic", lambda: now)
    monkeypatch.setattr(ray_worker, "checkpoint_epochs", lambda _: saved)
    monkeypatch.setattr(ray_worker, "pack_checkpoint", lambda _, epoch: {str(epoch): b""})

    def put(message: object) -> None:
        assert isinstance(message, RunFiles)
        sent.append((int(next(iter(message.archive))), now))

    sender = CheckpointSender(tmp_path, 20, put)
    for epoch in range(20):
        if epoch % 2 == 0:
            saved = [epoch]
        sender({"epoch": epoch})
        now += 25
    epochs, times = zip(*sent, strict=True)
    gaps = {after - before for before, after in pairwise(times)}
    assert epochs[0] == times[0] == 0.0
    assert gaps == {75.0}  # the first end of an epoch at least a minute later
    assert len(set(epochs)) == len(epochs)
    assert times[-1] < now - 25  # the last epoch's end


@pytest.mark.skipif(sys.platform != "linux", reason="a process cannot be kept to some cores")
def test_runs_of_a_node_take_different_cores_as_long_as_there_are(tmp_path: Path) -> None:
    script = (
        "import sys; from experiments.support.ray_node import take_cores; from cnn3.runs.machine import cores; "
        "locks = take_cores(int(sys.argv[1])); print(*sorted(cores()), flush=True); sys.stdin.read()"
    )
    available = sorted(cores())

    def start(count: int) -> tuple[subprocess.Popen[str], list[int]]:
        command, pipe = [sys.executable, "-c", script, str(count)], subprocess.PIPE
        env = os.environ | {"TMPDIR": str(tmp_path)}
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=pipe, stdout=pipe, text=True)
        assert process.stdout is not None
        return process, [int(core) for core in process.stdout.readline().split()]

    started = [start(1) for _ in available]
    assert [taken for _, taken in started] == [[core] for core in available]
    started.append(start(1))  # none is left
    assert started[-1][1][0] in available
    started[0][0].kill()
    started[0][0].wait()
    started.append(start(1))
    assert started[-1][1] == available[:1]
    started.append(start(len(available)))
    assert started[-1][1] == available
    for process, _ in started:
        process.communicate()


def test_a_node_with_other_versions_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    required = ray_node.node_versions()
    assert required == {
        "code": versions.code_fingerprint(),
        **{name: version(name) for name in ("cnn3", "jax", "jaxlib", "flax", "optax")},
    }
    assert ray_node.describe_mismatch(required) is None
    monkeypatch.setattr(ray_node, "version", lambda name: "9.9" if name == "jax" else version(name))
    monkeypatch.setattr(ray_node, "code_fingerprint", lambda: "0" * 16)
    assert (
        ray_node.describe_mismatch(required)
        == f"code {'0' * 16}, not {required['code']}, jax 9.9, not {required['jax']}"
    )


def test_a_folder_is_locked_while_its_run_is_away(tmp_path: Path) -> None:
    job = make_job(tmp_path / "run")
    with check_out(job) as archive:
        assert archive == {}
        with pytest.raises(BusyError), check_out(job):
            pass
    with run_lock(job.folder, wait=False):
        pass


def test_a_finished_run_does_not_go_away_unless_other_code_made_it(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(Path(shutil.copytree(finished, tmp_path / "run")))
    with check_out(job) as archive:
        assert archive is None
    monkeypatch.setattr(versions, "code_fingerprint", lambda: "0" * 16)
    with check_out(job) as archive:
        assert archive == {}
    (aside,) = tmp_path.glob("run.cnn3-*")
    assert content(aside) == content(finished)
