"""The page of findings against the code."""

from __future__ import annotations

import re
from pathlib import Path

from atcaprov.diagnosis.doctor import STEPS
from atcaprov.diagnosis.finding import PASSED_ON, TEXTS

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "findings.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_finding_has_its_row_with_weight_and_board() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (problem|note) \| ([a-z-]+) \|", section("Codes"), re.MULTILINE)
    assert rows == [(code.value, text.weight.value, text.board.value) for code, text in TEXTS.items()]


def test_every_error_that_is_a_common_finding_is_listed() -> None:
    table = section("Codes").split("| Code | Comes from the step |")[1]
    first_cells = re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)
    listed = {code for cell in first_cells for code in re.findall(r"`([a-z0-9-]+)`", cell)}
    assert listed == {code.value for code in PASSED_ON}


def test_every_step_has_its_row_with_what_it_needs() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| ([`\w, ]*)\|$", section("Steps"), re.MULTILINE)
    assert [(name, tuple(re.findall(r"`(\w+)`", needs))) for name, needs in rows] == [
        (step.name, step.needs) for step in STEPS
    ]
