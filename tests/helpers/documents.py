"""The commands and programs that the documents show."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from tests.helpers.processes import ROOT

README = ROOT / "README.md"
DOCUMENTS = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("cnn3", "pip", "pytest", "python", "sha256sum", "sphinx-build", "tensorboard")


def blocks(document: Path, language: str) -> list[str]:
    """Return the code blocks of a document in a language."""
    pattern = rf"^( *)```{language}\n(.*?)^ *```$"
    return [dedent(code) for _, code in re.findall(pattern, document.read_text(), re.DOTALL | re.MULTILINE)]


def commands(document: Path) -> list[str]:
    """Return each command of the code blocks of a document, and each in its text that has arguments."""
    shell = "\n".join(blocks(document, "bash")).replace("\\\n", " ")
    return [*(command for line in shell.splitlines() for command in _split(line)), *_in_text(document)]


def arguments(document: Path, module: str) -> list[list[str]]:
    """Return the arguments of each `python -m MODULE` of a document."""
    words = [shlex.split(command) for command in commands(document)]
    return [line[3:] for line in words if line[:3] == ["python", "-m", module]]


def modules(document: Path) -> set[str]:
    """Return the modules that a document runs, or says that can be run."""
    return set(re.findall(r"\bpython -m ([\w.]+\w)", document.read_text()))


def _split(line: str) -> Iterator[str]:
    """Yield the commands of a line of shell, without comments."""
    lexer = shlex.shlex(line, posix=False, punctuation_chars=";&|")
    lexer.whitespace_split = True
    command: list[str] = []
    for token in [*lexer, ";"]:
        if token.strip(";&|"):
            command.append(token)
        elif command:
            yield " ".join(command)
            command = []


def _in_text(document: Path) -> Iterator[str]:
    text = re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)
    for code in re.findall(r"`([^`]+)`", text):
        program, *rest = code.split()
        name = 2 if program == "python" else 1 if program == "cnn3" else 0  # words that only name a command
        if program in PROGRAMS and len(rest) > name:
            yield " ".join([program, *rest])
