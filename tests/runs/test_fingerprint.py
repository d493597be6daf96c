"""The fingerprint of the code: it changes with what may change a result, and with nothing else."""

import shutil
from pathlib import Path

import pytest

import cnn3
from cnn3.runs import fingerprint
from cnn3.runs.fingerprint import CORE, canonical, code_fingerprint

CODE = '''
"""A module."""
import math

def area(radius: float, *, scale: float = 1.0) -> float:
    """Return an area."""
    return scale * math.pi * radius**2  # of a disc
'''

UNCHANGED = {
    "a comment": CODE.replace("# of a disc", "# of a circle"),
    "docstrings": CODE.replace("Return an area.", "Give the area.").replace("A module", "Another"),
    "no docstring": CODE.replace('    """Return an area."""\n', ""),
    "formatting": CODE.replace("scale * math.pi * radius**2", "(\n        scale * math.pi\n        * radius ** 2)"),
    "quotes and lines": CODE.replace("import math\n", "\n\nimport math\n\n"),
}
CHANGED = {
    "a number": CODE.replace("**2", "**3"),
    "a default": CODE.replace("1.0", "1.5"),
    "an operator": CODE.replace("scale * math", "scale / math"),
    "a name": CODE.replace("math.pi", "math.e"),
    "an order": CODE.replace("scale * math.pi", "math.pi * scale"),
    "a string that is no docstring": CODE.replace("    return", '    "kept"\n    return'),
}


@pytest.mark.parametrize("text", UNCHANGED.values(), ids=UNCHANGED)
def test_changes_without_effect_are_ignored(text: str) -> None:
    assert text != CODE
    assert canonical(text) == canonical(CODE)


@pytest.mark.parametrize("text", CHANGED.values(), ids=CHANGED)
def test_changes_of_code_count(text: str) -> None:
    assert canonical(text) != canonical(CODE)


PACKAGE = Path(cnn3.__file__).parent
MODULES = [str(path.relative_to(PACKAGE)) for folder in CORE for path in sorted((PACKAGE / folder).glob("*.py"))]


def test_an_edit_of_any_core_module_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in CORE:
        shutil.copytree(PACKAGE / folder, tmp_path / folder)
    before = code_fingerprint()
    monkeypatch.setattr(fingerprint, "__file__", str(tmp_path / "runs" / "fingerprint.py"))
    assert code_fingerprint.__wrapped__() == before
    for name in MODULES:
        module = tmp_path / name
        text = module.read_text()
        module.write_text(f"{text}\nANSWER = 42\n")
        assert code_fingerprint.__wrapped__() != before, name
        module.write_text(text)
