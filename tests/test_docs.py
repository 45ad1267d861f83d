"""Every command in the README and the documentation runs and prints what the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.doc_blocks import reader, steps
from tests.support.programs import require_program

ROOT = Path(__file__).parents[1]
PAGES = [
    page
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if steps(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page: Path, tmp_path: Path) -> None:
    found = steps(page.read_text(encoding="utf-8"))
    assert found
    if any("softhsm2-util" in step.command for step in found):
        require_program("softhsm2-util")
    with reader(tmp_path) as someone:
        for step in found:
            someone.follow(step)


def test_readme_is_among_them() -> None:
    assert ROOT / "README.md" in PAGES


@pytest.mark.parametrize("page", [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md"], ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
