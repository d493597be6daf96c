"""Speeds on a GPU: table and figure show what was measured, and a program that fails does not stop the others."""

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import gpu_throughput
from benchmarks.gpu_tables import HEADER, draw, rows
from benchmarks.gpu_throughput import DEFAULT, PROGRAMS, Plan, jobs, measure, run
from benchmarks.gpu_trace import kernels, table, trace
from benchmarks.throughput import Options, gpu_plan
from benchmarks.workers import WorkerError
from cnn3 import RunConfig, load
from tests.helpers.tiny import TINY

PEAKS = {"fp32": 4e14, "bf16": 7e14}


def measured(train: float, evaluate: float) -> dict[str, Any]:
    """Return timings whose medians are these, and whose means are not."""
    rates = {"train": [train, train / 9, 2 * train], "evaluate": [evaluate, 7 * evaluate, evaluate / 2]}
    return {"compile_seconds": 12.34, "program_memory": None, "rates": rates, "memory": 1_230_000_000}


def result(batch_size: int = 64) -> dict[str, Any]:
    programs = {
        "cnn3": measured(80_000, 300_000),
        "cnn3-bf16": measured(120_000, 500_000),
        "pytorch": measured(40_000, 200_000),
        "pytorch-amp": measured(60_000, 250_000),
        "pytorch-compile": {"failed": "RuntimeError: no compiler"},
    }
    return {"variant": "baseline", "batch_size": batch_size, "programs": programs}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_table_compares_medians_in_the_same_precision():
    table_rows = {cells(line)[2]: cells(line) for line in rows(result(), PEAKS)}
    assert {len(line) for line in table_rows.values()} == {len(cells(HEADER[0]))}
    assert list(table_rows) == list(result()["programs"])
    assert table_rows["cnn3"][:7] == ["baseline", "64", "cnn3", "80000", "", "300000", ""]
    assert table_rows["pytorch"][3:7] == ["40000", "2.00", "200000", "1.50"]
    assert table_rows["pytorch-amp"][3:7] == ["60000", "2.00", "250000", "2.00"]  # with cnn3 in bfloat16
    assert table_rows["pytorch-compile"][3:] == ["failed"] + [""] * 6
    assert table_rows["pytorch"][8:] == ["1.23", "12.3"]
    # Multiply-adds of the baseline's forward pass; training takes three times as many, the first layer twice.
    convolutions = 1024 * 27 * 256, 256 * 9 * 256 * 128, 64 * 9 * 128 * 64
    products = 1024 * 512, 512 * 128, 128 * 10
    operations = 2 * (3 * (sum(convolutions) + sum(products)) - convolutions[0])
    for name, peak in (("cnn3", 4e14), ("pytorch", 4e14), ("pytorch-amp", 7e14)):
        assert float(table_rows[name][7]) == pytest.approx(peak / operations, rel=0.1)  # padding is not counted


def test_a_program_without_a_counterpart_has_no_ratio():
    for counterpart in ({"cnn3": {"failed": "OSError: no memory"}}, {}):
        programs = {**counterpart, "pytorch": measured(1000, 2000)}
        *_, line = rows(result() | {"programs": programs}, PEAKS)
        assert cells(line)[3:7] == ["1000", "", "2000", ""]


def test_the_figure_shows_the_median_speeds():
    other = result(128) | {"programs": {"cnn3": measured(90_000, 1), "pytorch": {"failed": "OSError"}}}
    figure = draw([result(), other, result() | {"variant": "batch_norm"}])
    assert [axes.get_title() for axes in figure.axes] == ["baseline", "batch norm"]
    two_batch_sizes, one_batch_size = figure.axes
    assert [tick.get_text() for tick in two_batch_sizes.get_xticklabels()] == ["batch 64", "batch 128"]
    heights = {str(bars.get_label()): [bar.get_height() for bar in bars] for bars in two_batch_sizes.containers}
    assert heights["cnn3"] == [80_000, 90_000]
    assert heights["pytorch"] == [40_000, 0]
    assert heights["pytorch-compile"] == [0, 0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(result()["programs"])
    bars = [bar for group in one_batch_size.containers for bar in group]
    assert len({bar.get_facecolor() for bar in bars}) == len(bars) == 5
    edges = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars)
    assert all(a[1] < b[0] for a, b in pairwise(edges))


class Fake:
    """A worker that answers immediately, and fails at answer `fails_at`."""

    def __init__(self, name: str, log: list[tuple[str, str]], fails_at: int | None = None) -> None:
        self.name, self.log, self.fails_at, self.answers = name, log, fails_at, 0

    def _answer(self, request: str) -> None:
        self.log.append((self.name, request))
        if self.answers == self.fails_at:
            raise WorkerError(f"{self.name} has ended")
        self.answers += 1

    def prepare(self) -> dict[str, Any]:
        self._answer("prepare")
        return {"compile": 3.0, "program_memory": 7}

    def ask(self, phase: str) -> dict[str, float]:
        self._answer(phase)
        return {"images_per_second": 100.0 * self.answers, "peak_memory": self.answers}

    def close(self) -> None:
        self.log.append((self.name, "close"))


def test_rounds_are_interleaved_and_a_failure_stops_one_program_only():
    log: list[tuple[str, str]] = []
    workers = {"a": Fake("a", log), "b": Fake("b", log, fails_at=0), "c": Fake("c", log, fails_at=2)}
    results = measure(workers, 2)
    assert log == [
        *((name, "prepare") for name in "abc"),
        *(("a", "train"), ("c", "train"), ("a", "evaluate"), ("c", "evaluate")),
        *(("a", "train"), ("a", "evaluate")),
    ]
    assert results["a"] == {
        "compile_seconds": 3.0,
        "program_memory": 7,
        "rates": {"train": [200.0, 400.0], "evaluate": [300.0, 500.0]},
        "memory": 5,
    }
    assert results["b"] == {"failed": "b has ended"}
    assert results["c"] == {"failed": "c has ended"}


@pytest.fixture
def faked(monkeypatch):
    """Replace workers and clock by fakes; return the workers' log and the clock."""
    log: list[tuple[str, str]] = []
    clock = SimpleNamespace(now=0.0, step=0.0)

    def start(job: Any) -> Fake:
        clock.now += clock.step
        return Fake(f"{job.variant}-{job.batch_size}", log)

    monkeypatch.setattr(gpu_throughput, "start", start)
    monkeypatch.setattr(gpu_throughput, "peak_flops", lambda *_, **__: 1e14)
    monkeypatch.setattr(gpu_throughput.time, "perf_counter", lambda: clock.now)
    return log, clock


def plan(output: Path, seconds: float = 480) -> Plan:
    return Plan(Path("data"), Path("program.py"), ("baseline", "dense"), (64, 128), ("cnn3",), 1, 256, seconds, output)


def test_results_are_printed_and_written_and_every_worker_is_closed(faked, tmp_path, capsys):
    log, _ = faked
    run(plan(tmp_path))
    content = json.loads((tmp_path / "throughput.json").read_text())
    order = [("baseline", 64), ("dense", 64), ("baseline", 128), ("dense", 128)]
    assert [(entry["variant"], entry["batch_size"]) for entry in content["results"]] == order
    assert [name for name, request in log if request == "close"] == [f"{variant}-{size}" for variant, size in order]
    lines = capsys.readouterr().out.splitlines()
    assert [cells(line)[:3] for line in lines if "| cnn3 |" in line] == [[v, str(b), "cnn3"] for v, b in order]
    assert "TF32 on both sides" in "".join(lines)
    assert "PyTorch does not" in "".join(lines)


def test_nothing_is_started_that_would_not_end_in_time(faked, tmp_path, capsys):
    log, clock = faked
    clock.step = 100.0
    run(plan(tmp_path, seconds=250))  # the third would end after 300 seconds
    assert len([1 for _, request in log if request == "close"]) == 2
    assert "not measured within 250 seconds: baseline 128, dense 128" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "throughput.json").read_text())["results"]) == 2


def test_jobs_match_the_names_of_the_programs():
    full_plan = Plan(Path("data"), Path("program.py"), (), (), tuple(PROGRAMS), 1, 256, 480, Path())
    by_name = jobs(full_plan, "dense", 128)
    assert {(job.variant, job.batch_size, job.images) for job in by_name.values()} == {("dense", 128, 256)}
    for name, job in by_name.items():
        assert (job.program is None) == (job.device is None) == name.startswith("cnn3")
        assert job.channels_last == (name.startswith("pytorch-"))
        assert (job.precision == "bf16") == name.endswith(("amp", "bf16"))
        assert (job.compile_mode == "default") == ("compile" in name)
        assert (job.compile_mode == "reduce-overhead") == ("graphs" in name)


def test_a_gpu_has_its_own_defaults_and_checks():
    options = Options(Path("data"), Path("program.py"))
    chosen = gpu_plan(options)
    assert (chosen.programs, chosen.images, chosen.seconds) == (DEFAULT, 10_240, 480)
    with pytest.raises(ValueError, match="there is no program jax"):
        gpu_plan(Options(Path(), Path(), programs=("cnn3", "jax")))
    with pytest.raises(ValueError, match="multiple of the batch sizes"):
        gpu_plan(Options(Path(), Path(), images=1000, batch_sizes=(50, 64)))


def event(name: str, microseconds: float, **stats: Any) -> Any:
    return SimpleNamespace(name=name, duration_ns=1e3 * microseconds, stats=list(stats.items()))


def plane(name: str, **lines: list[Any]) -> Any:
    return SimpleNamespace(name=name, lines=[SimpleNamespace(name=k, events=v) for k, v in lines.items()])


def test_kernels_are_those_of_the_gpus_streams():
    host = plane(
        "/host:CPU", python=[event("f", 1)], XLA=[event("dot.1", 5, hlo_op="dot.1"), event("while.2", 9, hlo_op="w")]
    )
    gpu = plane(
        "/device:GPU:0", **{"Stream #7(Compute)": [event("gemm", 30), event("gemm", 50)], "XLA Ops": [event("x", 9)]}
    )
    assert [e.name for e in kernels([host])] == ["dot.1"]
    assert [e.name for e in kernels([host, gpu])] == ["gemm", "gemm"]
    summary, _, *lines = table([*kernels([gpu]), event("add", 20)], steps=2)
    assert summary == "1.5 kernels and 50.0 µs of them a step\n"
    assert [cells(line) for line in lines] == [["gemm", "1.00", "40.0", "80.0%"], ["add", "0.50", "10.0", "20.0%"]]


@pytest.mark.whole
def test_a_trace_shows_the_operations_of_a_step(quick_to_compile):
    config = RunConfig(TINY, dataset="digits", batch_size=32)
    summary, _, *lines = trace(config, load("digits", limit=96))
    assert float(summary.split()[0]) > 20  # operations a step: there are six layers, forward and backward
    counts = [float(cells(line)[1]) for line in lines]
    assert 1.0 in counts  # once a step
    assert sum(float(cells(line)[3][:-1]) for line in lines) <= 100.5
