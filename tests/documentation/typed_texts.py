"""What a test types: its source, and the functions, fixtures and constants of the folder `tests` that it uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

TESTS: Final = Path(__file__).parents[1]


class Module(NamedTuple):
    """The named parts of a file, and where it takes names of other files of the folder from."""

    parts: dict[str, ast.stmt]
    imports: dict[str, tuple[Path, str]]


@cache
def module(path: Path) -> Module:
    """Return the functions, classes, methods and constants of a file by their names."""
    parts: dict[str, ast.stmt] = {}
    imports: dict[str, tuple[Path, str]] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        parts |= dict.fromkeys(_names(node), node)
        if isinstance(node, ast.ClassDef):
            parts |= {each.name: each for each in node.body if isinstance(each, ast.FunctionDef)}
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            file = TESTS.parent / f"{str(node.module).replace('.', '/')}.py"
            imports |= {each.asname or each.name: (file, each.name) for each in node.names if file.exists()}
    return Module(parts, imports)


def _names(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))


def typed_texts(place: str) -> str:
    """Return what the function at `place` ("folder/file.py::name") and the parts that it uses can type, in lines."""
    file, _, name = place.partition("::")
    found: dict[tuple[Path, str], str] = {}
    _gather(TESTS / file, name, found)
    return "\n".join(found.values())


def _not_typed(node: ast.AST) -> list[ast.expr]:
    """Return texts that are looked for in an answer, docstrings, and the advice that a test is marked with."""
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        return [node.left]
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return [node.value]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "follows":
        return node.args
    return []


def _gather(path: Path, name: str, found: dict[tuple[Path, str], str]) -> None:
    parts, imports = module(path)
    if (path, name) in found:
        return
    if name in parts:
        nodes = list(ast.walk(parts[name]))
        not_typed = {id(part) for node in nodes for text in _not_typed(node) for part in ast.walk(text)}
        constants = [node for node in nodes if isinstance(node, ast.Constant) and id(node) not in not_typed]
        found[path, name] = "\n".join(node.value for node in constants if isinstance(node.value, str))
        for node in nodes:
            if isinstance(node, ast.Name | ast.arg):
                _gather(path, node.id if isinstance(node, ast.Name) else node.arg, found)
    elif name in imports:
        _gather(*imports[name], found)
    elif path.name != "conftest.py":
        for conftest in (path.with_name("conftest.py"), path.parents[1] / "conftest.py"):
            if conftest.exists() and name in module(conftest).parts:
                _gather(conftest, name, found)
