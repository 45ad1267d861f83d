"""Each row of the threat model names tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/explanation/threats.md").read_text("utf-8")
NAMED = re.compile(r"`([a-z_0-9/]+\.py)(?:::(test_\w+))?`")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith(("| it can", "| he can"))]
UNSHOWN = ("learn the password of a locked module",)
"""What someone can do, which no test needs to show."""


def _tests(path: Path) -> set[str]:
    found = ast.walk(ast.parse(path.read_text("utf-8")))
    return {each.name for each in found if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_there_are_rows_for_everyone() -> None:
    assert len(ROWS) > 30
    for who in ("A computer on the network", "A stolen station", "A stolen module", "A malicious operator"):
        assert f"\n## {who}\n" in PAGE


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_row_is_shown_by_tests_that_exist(row: str) -> None:
    claim, shown = row.split("|")[1].strip(), row.split("|")[3]
    named = NAMED.findall(shown)
    assert named or claim in UNSHOWN or "](../" in shown, "name a test that shows it"
    for name, function in named:
        assert (TESTS / name).is_file(), name
        assert not function or function in _tests(TESTS / name), f"{name} has no {function}"
