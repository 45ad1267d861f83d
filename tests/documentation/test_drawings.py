"""Each drawing is what its text gives, and stands for itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

DRAWINGS: Final = Path(__file__).parents[2] / "docs" / "drawings"
PAGES: Final = sorted(DRAWINGS.glob("*.svg"))


def test_each_drawing_is_what_its_text_gives() -> None:
    assert {page.stem for page in PAGES} == {text.stem for text in DRAWINGS.glob("*.txt")} != set()
    done = subprocess.run([sys.executable, DRAWINGS / "draw.py", "--check"], check=False)
    assert done.returncode == 0, "run: python docs/drawings/draw.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_drawing_has_a_title_and_loads_nothing(page: Path) -> None:
    root = ElementTree.fromstring(page.read_text("utf-8"))
    assert root.find("{http://www.w3.org/2000/svg}title") is not None
    assert not [key for element in root.iter() for key in element.attrib if key.endswith("href")]
    assert "prefers-color-scheme: dark" in page.read_text("utf-8")
