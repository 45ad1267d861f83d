"""The reference pages name every open point with its default, every image and every fault."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.faults import Fault, FaultKind
from atcaprov.emulator.images import image_names
from atcaprov.emulator.open_points import OpenPoints

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def rows(page: str, title: str = "") -> dict[str, str]:
    """Return the first and second column of the tables on a page, or in one section of it."""
    section = (REFERENCE / page).read_text(encoding="utf-8")
    if title:
        section = section.split(f"\n## {title}\n")[1].split("\n## ")[0]
    found = re.findall(r"^\| (.+?) \| (.*?) \|", section, re.MULTILINE)
    return {name.strip("`"): value.strip("`") for name, value in found}


def shown(value: object) -> str:
    if isinstance(value, frozenset):
        names = {Opcode(item).name.replace("_", "").lower() for item in value}
        return ", ".join(sorted(names))
    if isinstance(value, bool) or not isinstance(value, int):
        return str(value)
    return f"{value:02X}"


def test_every_open_point_with_its_default() -> None:
    page = rows("open-points.md", "Open points")
    for point in fields(OpenPoints):
        documented = page[point.name]
        if isinstance(point.default, frozenset):
            documented = ", ".join(sorted(documented.lower().split(", ")))
        expected = shown(point.default)
        assert documented == expected or (documented == "0" and expected == "00"), point.name
    assert set(page) - {"open point", "---"} == {point.name for point in fields(OpenPoints)}


def test_every_image() -> None:
    assert set(image_names()) <= set(rows("software-chip.md", "Names"))


def test_every_fault() -> None:
    page = " ".join(rows("fault-plans.md"))
    assert all(kind in page for kind in FaultKind)
    assert {field.name for field in fields(Fault)} <= set(rows("fault-plans.md"))


def test_the_example_runs() -> None:
    example = (REFERENCE / "software-chip.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    printed: list[object] = []
    exec(example, {"print": printed.append})
    assert printed[0] == []
    assert len(printed) == 1 + 16
