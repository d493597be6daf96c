"""A fingerprint of the code that determines a run's result: the core's modules, as Python parses them."""

import ast
import hashlib
from functools import cache
from pathlib import Path

# All that computes the numbers of a run. The rest of what a result depends on is in its configuration and versions.
CORE = ("nn", "training")


@cache
def code_fingerprint() -> str:
    """Return sixteen hexadecimal digits that identify the core's code.

    They do not depend on comments, docstrings, formatting and the version of Python.
    """
    package = Path(__file__).parents[1]
    modules = sorted(path for folder in CORE for path in (package / folder).glob("*.py"))
    trees = (f"{path.stem} {canonical(path.read_text(encoding='utf-8'))}" for path in modules)
    return hashlib.sha256("\n".join(trees).encode()).hexdigest()[:16]


def canonical(source: str) -> str:
    """Return a module's syntax tree, without docstrings, as text.

    The text of `ast.dump` differs between versions of Python, in which empty fields it names.
    """
    return _text(ast.parse(source))


def _text(node: object) -> str:
    if isinstance(node, list):
        return f"[{' '.join(map(_text, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value is not None and value != []}
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
        fields["body"] = node.body[1:]
    return f"({type(node).__name__} {' '.join(f'{name}={_text(value)}' for name, value in fields.items())})"
