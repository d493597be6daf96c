"""The command `cnn3`: its list of commands, what it suggests, and what it does not import or mind."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from cnn3.__main__ import experiments, main, own_commands
from tests.helpers.processes import ROOT, python

SLOW = ("jax", "jaxlib", "flax", "optax", "orbax", "matplotlib", "scipy", "sklearn", "tensorflow_datasets", "torch")
# Runs command lines one after another, and prints which slow packages each of them imports.
IMPORTS = f"""
import contextlib, io, json, runpy, sys
imported = {{}}
for line in json.loads(sys.argv[1]):
    module, *sys.argv[1:] = line
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as end:
            status = end.code
    imported[" ".join(line)] = [status, [name for name in {SLOW} if name in sys.modules]]
print(json.dumps(imported))
"""


def statuses_and_imports(lines: list[list[str]]) -> dict[str, tuple[int | None, list[str]]]:
    process = python("-c", IMPORTS, json.dumps(lines))
    assert process.returncode == 0, process.stderr
    return {line: tuple(result) for line, result in json.loads(process.stdout).items()}


def test_help_and_mistakes_import_nothing_slow():
    modules = [*(f"experiments.{name}" for name in experiments()), *(f"cnn3.{name}" for name in own_commands())]
    helps = [["cnn3"], ["experiments", "--help"], *([module, "--help"] for module in modules)]
    mistakes = [["cnn3", "improvement"], *([module, "--no-such-option"] for module in modules)]
    results = statuses_and_imports(helps + mistakes)
    assert {line: imports for line, (_, imports) in results.items() if imports} == {}
    assert [results[" ".join(line)][0] or 0 for line in helps] == [0] * len(helps)
    assert [results[" ".join(line)][0] for line in mistakes] == [2] * len(mistakes)


@pytest.mark.parametrize(
    ("program", "module", "work"),
    [("evaluate", "measure", "measure"), ("predict", "classify", "classify_files")],
)
def test_ctrl_c_ends_a_command_without_a_traceback(program: str, module: str, work: str) -> None:
    script = (
        "import os, signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # it is ignored where tests run in the background
        f"from cnn3.{program} import {module}\n"
        f"{module}.{work} = lambda *_: os.kill(os.getpid(), signal.SIGINT) or time.sleep(600)\n"
        f"from cnn3.{program}.__main__ import main\n"
        "main(['image.png'])\n"
    )
    process = python("-c", script)
    assert process.returncode == 130
    assert process.stderr.endswith("\ninterrupted\n")
    assert "Traceback" not in process.stderr


def test_help_ends_with_two_examples(capsys):
    for name in (*experiments(), *own_commands()):
        with pytest.raises(SystemExit):
            main([name, "--help"])
        _, examples = capsys.readouterr().out.split("examples:\n")
        assert [line.split()[0] for line in examples.splitlines()] == ["python", "python"], name


def test_the_library_imports_nothing_slow_until_it_is_used():
    imported = f"print([name for name in {SLOW} if name in sys.modules])"
    script = f"import sys, cnn3; {imported}; cnn3.fit; print('jax' in sys.modules)"
    assert python("-c", script).stdout == "[]\nTrue\n"


def test_every_public_name_is_there():
    import cnn3

    assert all(getattr(cnn3, name) is not None for name in cnn3.__all__)
    assert set(cnn3.__all__) <= set(dir(cnn3))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = cnn3.no_such_name  # pyright: ignore[reportAttributeAccessIssue]


def test_the_list_names_every_command_and_all_can_be_run(capsys):
    assert main([]) == 0
    listed = set(re.findall(r"^  (\w+) ", capsys.readouterr().out.split("options:")[0], re.MULTILINE))
    assert listed == {*experiments(), *own_commands()}
    assert {"improvements", "reproduce", "predict"} <= listed
    for name in own_commands():
        assert callable(import_module(f"cnn3.{name}.__main__").main)


def test_the_version_is_printed(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cnn3 {version('cnn3')}\n"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("improvement", "did you mean improvements?"),
        ("optimisers", "did you mean optimizers?"),
        ("predcit", "did you mean predict?"),
        ("qqq", "cnn3 --help lists them"),
    ],
)
def test_a_near_miss_is_suggested(name, hint, capsys):
    assert main([name, "--epochs", "3"]) == 2
    assert capsys.readouterr().err == f"error: there is no command {name!r}: {hint}\n"


def test_the_console_script_is_this_command_and_help_names_it(monkeypatch, capsys):
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"cnn3": "cnn3.__main__:main"}
    monkeypatch.setattr(sys, "argv", ["/usr/bin/cnn3"])
    for name in ("improvements", "predict"):
        with pytest.raises(SystemExit):
            main([name, "--help"])
        text = capsys.readouterr().out
        assert f"usage: cnn3 {name} " in text
        assert len(re.findall(rf"^  cnn3 {name} ", text.split("examples:")[1], re.MULTILINE)) == 2


def test_a_folder_of_ones_own_called_experiments_is_not_mistaken_for_ours(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    done = python("-m", "cnn3", "setup", "--dataset", "mnist", cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})
    assert (done.returncode, "invalid choice 'mnist'" in done.stderr) == (2, True), done.stderr


# Output that nobody reads, or that a terminal cannot show

PRINTS = """
import sys
from pathlib import Path
from experiments.support.options import Options, command
def work(options):
    print("café ±1", flush=True)
    print("café ±1", file=sys.stderr, flush=True)
    return [Path("table.md")] * 10_000
status = command(Options, work, "trial", "", [])
open(sys.argv[1], "w").write("done")
sys.exit(status)
"""


def test_a_pipe_that_is_closed_does_not_end_the_work(tmp_path):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", PRINTS, str(tmp_path / "end")]
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "café ±1\n")
    assert (tmp_path / "end").read_text() == "done"


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_are_closed_do_no_harm(closed, tmp_path):
    end = tmp_path / "end"
    command = f'"$0" -c "$1" "$2" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, PRINTS, str(end)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert end.read_text() == "done"


def test_characters_that_a_terminal_lacks_are_replaced(tmp_path: Path):
    done = python("-c", PRINTS, str(tmp_path / "end"), env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("caf? ?1\nwrote table.md\n")
    assert done.stderr == "caf\\xe9 \\xb11\n"


def on_a_terminal(*args: str, **env: str) -> str:
    """Run Python on a terminal of its own, and return what it shows there."""
    terminal, own_end = os.openpty()
    names = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"} | env
    process = subprocess.Popen([sys.executable, *args], cwd=ROOT, env=names, stdout=own_end, stderr=own_end)
    os.close(own_end)
    shown = b""
    with contextlib.suppress(OSError), process:  # reading ends with an error once the process has
        while part := os.read(terminal, 2**16):
            shown += part
    os.close(terminal)
    assert process.returncode == 0, shown
    return shown.decode()


def test_colours_are_left_out_on_request():
    command = ["-m", "cnn3", "improvements", "--help"]
    colour = re.compile(r"\x1b\[[0-9;]*3\d")
    assert colour.search(on_a_terminal(*command))
    plain = on_a_terminal(*command, NO_COLOR="1")
    assert "--epochs" in plain
    assert not colour.search(plain)
