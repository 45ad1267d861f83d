"""docs/README.md lists every page, with a line that says what the reader gets."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
INDEX: Final = ROOT / "docs" / "README.md"
ENTRY: Final = re.compile(r"^- \[([^\]]+)\]\(([^)#]+\.md)\): \S.+$", re.MULTILINE)
LISTED: Final = {(INDEX.parent / link).resolve(): title for title, link in ENTRY.findall(INDEX.read_text("utf-8"))}
PAGES: Final = sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")} - {INDEX})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_is_listed(page: Path) -> None:
    assert page in LISTED, f"add a line for {page.relative_to(ROOT)} to docs/README.md"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_has_one_title(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"^# ", text, flags=re.MULTILINE)) == 1
    assert text.startswith("# ")


@pytest.mark.parametrize("example", sorted(ROOT.glob("examples/*.py")), ids=lambda example: example.name)
def test_example_is_listed_and_run_by_a_test(example: Path) -> None:
    assert f"]({example.name})" in (ROOT / "examples" / "README.md").read_text("utf-8")
    assert (ROOT / "tests" / "examples" / f"test_{example.name}").exists()


def test_no_page_is_listed_twice() -> None:
    links = [link for _, link in ENTRY.findall(INDEX.read_text("utf-8"))]
    assert sorted(links) == sorted(set(links))
