"""The commands and programs in the README."""

import re
import shlex

from tests.helpers.processes import ROOT

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands(module: str) -> list[list[str]]:
    """Return the arguments of each `python -m MODULE` in the README."""
    shell = "\n".join(blocks("bash")).replace("\\\n", " ")
    matches = re.findall(rf"python -m {re.escape(module)}\b[^\n&|]*", shell)
    return [shlex.split(command, comments=True)[3:] for command in matches]
