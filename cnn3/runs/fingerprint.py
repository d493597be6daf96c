"""A fingerprint of the code that decides a run's result: the core's modules, as Python parses them."""

import ast
import hashlib
from functools import cache
from pathlib import Path

# All that computes a number of a run. What else a result depends on is in its configuration, its data or its versions.
CORE = ("nn", "training")


@cache
def code_fingerprint() -> str:
    """Return sixteen hexadecimal digits that tell the core's code from any other.

    Comments, docstrings and formatting do not count, nor does the version of Python.
    """
    package = Path(__file__).parents[1]
    modules = sorted(path for folder in CORE for path in (package / folder).glob("*.py"))
    trees = (f"{path.stem} {canonical(path.read_text(encoding='utf-8'))}" for path in modules)
    return hashlib.sha256("\n".join(trees).encode()).hexdigest()[:16]


def canonical(source: str) -> str:
    """Return what Python parses from a module's text, without its docstrings, as text.

    `ast.dump` would do, were its text the same in all versions of Python: they differ in which empty fields it names.
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
