"""Certificates that are not proven in time are counted and warned about once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from provisioning_server.issuing import proof_deadline
from provisioning_server.issuing.proof_deadline import ProofDeadline, duration_text
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.ledger.events import NOW, issued, reported, step
from tests.support.server_parts import RememberingLog, chip_serial


class Watch:
    def __init__(self, ledger: SqlLedger, within: timedelta = timedelta(hours=24)) -> None:
        self.now = NOW
        self.log = RememberingLog()
        self.deadline = ProofDeadline(ledger, within, lambda: self.now, self.log)

    def look(self, at: datetime) -> int:
        self.now = at
        self.deadline.check()
        return self.deadline.overdue.number


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    with contextlib.closing(open_ledger(tmp_path / "ledger.sqlite3", NOW)) as ledger:
        yield ledger


def test_late_certificates_are_warned_about_until_they_are_proven(ledger: SqlLedger) -> None:
    step(ledger, issued(1), issued(2, after=60), issued(3, after=120))
    watch = Watch(ledger)
    day = NOW + timedelta(hours=24)
    assert watch.look(day) == 0
    assert watch.look(day + timedelta(seconds=61)) == 2
    assert watch.look(day + timedelta(seconds=61)) == 2
    chip = chip_serial(1).hex().upper()
    assert watch.log.lines == [
        f"warning: 2 certificates are not proven after 1d, the oldest of Device ({chip}) from 2026-11-21 10:15 UTC."
        " 'provisioning-server ledger unproven' lists them."
    ]
    step(ledger, reported(0, 1))
    assert watch.look(day + timedelta(seconds=62)) == 1
    assert len(watch.log.lines) == 1
    step(ledger, reported(1, 2), reported(2, 3, signature=b"", fate="scrap"))
    assert watch.look(day + timedelta(seconds=62)) == 0
    assert watch.deadline.sentence == ""
    assert watch.log.lines[1:] == ["info: No certificate is without a proof for more than 1d any more."]
    assert watch.look(day + timedelta(seconds=121)) == 1
    assert watch.log.lines[2].startswith("warning: 1 certificate is not proven after 1d,")


def test_very_many_are_not_counted_to_the_end(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof_deadline, "COUNTED_MAX", 3)
    step(ledger, *(issued(number) for number in range(5)))
    watch = Watch(ledger)
    assert watch.look(NOW + timedelta(days=2)) == 3
    assert watch.deadline.sentence.startswith("3 or more certificates are not proven after 1d")


@pytest.mark.parametrize(
    ("seconds", "text"), [(1, "1s"), (90, "90s"), (120, "2m"), (86400, "1d"), (90000, "25h"), (1209600, "2w")]
)
def test_duration_is_written_as_it_is_typed(seconds: int, text: str) -> None:
    assert duration_text(timedelta(seconds=seconds)) == text
