"""A PyTorch program's network, trained with all images on the device, here a CPU."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.job import Job, splits
from benchmarks.workers import Worker, WorkerError
from cnn3 import Dataset, load

PROGRAM = str(Path(__file__).parents[1] / "helpers" / "pytorch_program.py")
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def job(**changes: Any) -> Job:
    return replace(Job("", "baseline", 32, 96, PROGRAM, device="cpu", dataset="digits"), **changes)


@pytest.fixture
def make_trainer(torch, monkeypatch):
    """Return a function that makes the trainer of a job, and puts its training images on the device."""
    from benchmarks import pytorch_device as device

    monkeypatch.setattr(sys, "argv", sys.argv)

    def make(job: Job):
        dataset = load(job.dataset, limit=job.images)
        trainer = device.make_trainer(job, dataset)
        return trainer, device.place(dataset.train, torch.device("cpu"), channels_last=job.channels_last)

    return make


def expected(model: Any, dataset: Dataset) -> tuple[float, float]:
    """Return loss and accuracy in NumPy, in float64."""
    weight, bias = (p.detach().double().numpy() for p in (model.fc.weight, model.fc.bias))
    x = (dataset.train.images / 255 - MEAN) / STD
    squares = x.reshape(-1, 4, 8, 4, 8, 3).mean((2, 4)).transpose(0, 3, 1, 2).reshape(-1, 48)
    logits = squares @ weight.T + bias
    labels = dataset.train.labels
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]
    return float(losses.mean()), float((logits.argmax(1) == labels).mean())


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_metrics_cover_all_images_and_a_smaller_last_batch(make_trainer, channels_last, precision):
    from benchmarks.pytorch_device import evaluate

    trainer, data = make_trainer(job(images=75, channels_last=channels_last, precision=precision))
    metrics = evaluate(trainer, data)
    loss, accuracy = expected(trainer.model, load("digits", limit=75))
    tolerance = 1e-5 if precision == "fp32" else 2e-2
    assert metrics.images == 75
    assert metrics.loss == pytest.approx(loss, abs=tolerance)
    assert metrics.accuracy == pytest.approx(accuracy, abs=1e-9 if precision == "fp32" else 2 / 75)
    assert trainer.model.seen == [(n, False, channels_last) for n in (32, 32, 11)]


def test_mixed_precision_multiplies_in_bfloat16(make_trainer, torch):
    kinds = []
    trainer, data = make_trainer(job(precision="bf16"))
    trainer.model.fc.register_forward_hook(lambda _module, _inputs, output: kinds.append(output.dtype))
    trainer.forward(*data, torch.arange(32))
    assert kinds == [torch.bfloat16]
    assert {p.dtype for p in trainer.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("channels_last", [False, True])
def test_an_epoch_sees_each_image_once_and_the_loss_falls(make_trainer, torch, channels_last):
    from benchmarks.pytorch_device import train_epoch

    trainer, data = make_trainer(job(channels_last=channels_last))
    batches: list[Any] = []
    recorded = replace(trainer, forward=lambda *args: (batches.append(args[2]), trainer.forward(*args))[1])
    metrics = [train_epoch(recorded, data) for _ in range(8)]
    assert [len(batch) for batch in batches] == [32] * 24
    epochs = [torch.cat(batches[i : i + 3]).tolist() for i in (0, 3)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(96))
    assert epochs[0] != epochs[1]
    assert all(training for _, training, _ in trainer.model.seen)
    assert metrics[-1].loss < 0.9 * metrics[0].loss


def test_a_step_is_adam_with_l2_in_the_gradient(make_trainer, torch):
    from benchmarks.pytorch_device import train_step

    trainer, data = make_trainer(job())
    before = trainer.model.fc.weight.detach().clone()
    loss, _ = train_step(trainer, data, torch.arange(32))
    gradient = trainer.model.fc.weight.grad + 3e-4 * before
    expected_weight = before - 1e-3 * gradient / (gradient.abs() + 1e-8)  # Adam's first step
    torch.testing.assert_close(trainer.model.fc.weight.detach(), expected_weight, rtol=0, atol=1e-6)
    assert loss.item() == pytest.approx(np.log(10), abs=0.5)


def test_evaluation_uses_full_batches_of_the_test_images():
    for images, batch_size, count in ((96, 32, 96), (500, 100, 300), (1024, 64, 320)):
        train, test = splits(job(images=images, batch_size=batch_size))
        assert (len(train.labels), len(test.labels)) == (images, count)


@pytest.mark.usefixtures("torch")
@pytest.mark.whole
def test_a_worker_answers_or_reports_its_failure(tmp_path):
    worker = Worker(job(), {"JAX_PLATFORMS": "cpu"})
    prepared = worker.prepare()
    answers = [worker.ask(phase) for phase in ("train", "evaluate", "train")]
    worker.close()
    assert prepared["compile"] > 0
    assert prepared["program_memory"] is None
    assert all(answer["images_per_second"] > 0 for answer in answers)
    assert all(10**8 < answer["peak_memory"] < 10**10 for answer in answers)  # PyTorch alone takes more than 100 MB

    broken = tmp_path / "program.py"
    broken.write_text("raise OSError('there is no compiler\\nat all')\n")
    worker = Worker(job(program=str(broken)), {"JAX_PLATFORMS": "cpu"})
    with pytest.raises(WorkerError, match=r"^OSError: there is no compiler$"):
        worker.prepare()
    with pytest.raises(WorkerError, match="ended with status 1"):
        worker.ask("train")
    worker.close()

    slow = tmp_path / "slow.py"
    slow.write_text("import time\ntime.sleep(600)\n")
    worker = Worker(job(program=str(slow)), {"JAX_PLATFORMS": "cpu"}, seconds=1)
    with pytest.raises(WorkerError, match="no answer within 1 seconds"):
        worker.prepare()
    worker.close()


@pytest.mark.whole
@pytest.mark.usefixtures("torch")
def test_without_a_compiler_only_the_compiled_program_fails(tmp_path, capfd):
    from benchmarks.gpu_throughput import Plan, run

    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CXX", str(tmp_path / "none"))
        names = ("cnn3", "pytorch-amp", "pytorch-compile")
        plan = Plan(Path(), Path(PROGRAM), ("baseline",), (32,), names, 1, 64, 900.0, tmp_path, "cpu", "digits")
        patched.setattr("benchmarks.gpu_throughput.PEAK_SIDE", 256)
        patched.setattr("benchmarks.gpu_throughput.PATIENCE", None)
        run(plan)
    out, err = capfd.readouterr()
    assert "baseline, batch 32, pytorch-compile failed: " in err
    assert "| baseline | 32 | pytorch-compile | failed |" in out
    content = json.loads((tmp_path / "throughput.json").read_text())
    (result,) = content["results"]
    assert list(result["programs"]) == list(names)
    assert all(len(result["programs"][name]["rates"]["train"]) == 1 for name in names[:2])
    assert (tmp_path / "throughput.png").stat().st_size > 1000
