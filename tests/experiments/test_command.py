"""A command from its arguments to its exit status: errors, messages and signals."""

import json
import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest

from cnn3 import ConfigError, DataError, OutputError, WeightsError, cli
from cnn3.cli import UsageError
from experiments import frontier, improvements
from experiments.support import cost
from experiments.support.options import Options, command
from tests.helpers import fabricated
from tests.helpers.processes import ROOT, python


@pytest.mark.parametrize("kind", [ConfigError, DataError, OutputError, WeightsError, UsageError])
def test_an_error_is_one_line_and_status_2(kind, capsys):
    def fail(options: Options) -> list[Path]:
        raise kind(f"{options.epochs} of\n  these")

    assert command(Options, fail, "trial", "", ["--epochs", "7"]) == 2
    printed = capsys.readouterr()
    assert printed.err == "error: 7 of these\n"
    assert printed.out == ""


def test_an_unexpected_error_is_not_hidden():
    def fail(options: Options) -> list[Path]:
        raise KeyError(options)

    with pytest.raises(KeyError):
        command(Options, fail, "trial", "", [])


def test_paths_are_printed_and_signal_handlers_restored(capsys):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert command(Options, lambda options: [options.output / "a", Path("b")], "trial", "", ["--output", "c"]) == 0
    assert capsys.readouterr().out == "wrote c/a\nwrote b\n"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("experiment", [improvements, frontier])
def test_json_is_the_summary_and_all_that_is_printed(
    experiment: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with patch.object(cost, "training_flops", lambda _: 1e9):  # it takes seconds
        folder = fabricated.experiment(experiment.main, tmp_path, "--json", "--epochs", "2", "--seeds", "2")
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((folder / "summary.json").read_text())
    assert len(printed["rows"]) > 1
    assert [len(row["seeds"]) for row in printed["rows"]] == [2] * len(printed["rows"])


def test_a_command_in_a_thread_leaves_signals_alone(capsys):
    with ThreadPoolExecutor(1) as thread:
        assert (
            thread.submit(command, Options, lambda options: [options.output], "trial", "", ["--output", "c"]).result()
            == 0
        )
    assert capsys.readouterr().out == "wrote c\n"


def test_a_warning_is_printed_without_the_name_of_its_logger():
    script = (
        "import logging\n"
        "from experiments.support.options import Options, command\n"
        "command(Options, lambda _: logging.getLogger('cnn3.runs.fit').warning('damaged') or [], 'trial', '', [])\n"
    )
    process = python("-c", script)
    assert (process.returncode, process.stderr) == (0, "damaged\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_process_even_if_the_main_thread_is_busy(number, status):
    # A compiled epoch keeps the interpreter from running signal handlers, as a resumed sleep does.
    script = (
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # it is ignored where tests run in the background
        "from experiments.support.options import Options, command\n"
        "command(Options, lambda _: print('busy', flush=True) or time.sleep(600), 'trial', '', [])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "busy\n"
        os.kill(process.pid, number)
        _, stderr = process.communicate()
    assert process.returncode == status
    assert stderr.strip() == "interrupted; run the same command to resume"


@pytest.mark.parametrize(("option", "shown"), [("--quiet", ""), ("--verbose", "read\nnote\n"), (None, "note\n")])
def test_quiet_and_verbose_set_what_is_said_beside_results_and_warnings(
    option: str | None, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def work(_: Options) -> list[Path]:
        logger = logging.getLogger("cnn3.data")
        logger.info("read")
        logger.warning("damaged")
        cli.note("note")
        return [tmp_path]

    assert command(Options, work, "trial", "A trial.", [] if option is None else [option]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"wrote {tmp_path}\n"
    assert printed.err == shown.replace("read\n", "")
    assert caplog.messages == (["read"] if "read" in shown else []) + ["damaged"]
    assert logging.getLogger("cnn3").level == logging.NOTSET
