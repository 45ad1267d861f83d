"""What an audit found: each finding with its code, and the index of its entry if it has one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

SHOWN: Final = 1000
"""Findings that are kept one by one; the others are counted."""


@dataclass(frozen=True, slots=True)
class AuditFinding:
    """Something that is wrong: a code for machines, a sentence, and the index of the entry; None if it has none."""

    code: str
    text: str
    index: int | None = None


@dataclass(slots=True)
class AuditReport:
    """What was checked, counted and found.

    `checked` are sentences on what was checked; `remarks` what is not wrong, but worth knowing.
    """

    checked: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    remarks: list[str] = field(default_factory=list)
    findings: list[AuditFinding] = field(default_factory=list)
    found: int = 0

    def find(self, code: str, text: str, index: int | None = None) -> None:
        """Record a finding."""
        self.found += 1
        if len(self.findings) < SHOWN:
            self.findings.append(AuditFinding(code, text, index))
