"""What a person decides is written by the one thread that writes, and answered when it is on the disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from atcaprov import AtcaProvError, Code, UsageError, durable_files
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.requests import Administration, AdministrationOutcome, ClientRequest
from provisioning_server.ledger.administration import OrderClosed, OrderOpened
from provisioning_server.ledger.changes import Event
from provisioning_server.ledger.open_ledger import ROOM_MIN
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import Ledger
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.ledgers import ledger_in
from tests.support.server_parts import RememberingLog, request

ORDER = OrderOpened(NOW, "2026-118", "gateway", 500)


class Desk:
    """An authority that takes its steps when the test says so, and keeps the outcomes of administrations."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger
        self.signer = MemorySigner()
        self.authority = Authority(SignerRegistry([self.signer]), ledger, RememberingLog(), lambda: NOW, server="a")
        self.outcomes: list[AdministrationOutcome] = []
        self.replies: list[object] = []

    def step(self, *decided: Sequence[Event] | Exception, requests: int = 0) -> None:
        """Take one step, and those that it leaves behind."""
        items = [Administration(self._decide(each), self.outcomes.append) for each in decided]
        asked = [ClientRequest(request(self.signer, 1 + each), deliver=self.replies.append) for each in range(requests)]
        self.authority.step([*items, *asked], self._deliver)
        while self.authority.waits is not None:
            self.authority.step([], self._deliver)

    def _deliver(self, deliveries: Sequence[tuple[object, object]]) -> None:
        for deliver, reply in deliveries:
            deliver(reply)  # type: ignore[operator]

    def _decide(self, events: Sequence[Event] | Exception):  # type: ignore[no-untyped-def]
        def decide(ledger: Ledger) -> Sequence[Event]:
            assert ledger is self.ledger
            if isinstance(events, Exception):
                raise events
            return events

        return decide


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        yield Desk(ledger)


def test_outcome_names_the_entries(desk: Desk) -> None:
    desk.step([ORDER, OrderClosed(NOW, "2026-118", "done")], requests=1)
    assert [each.written for each in desk.outcomes] == [(0, 1)]
    assert [entry.kind for entry in desk.ledger.entries(0, 9)] == ["order-opened", "order-closed", "issued"]
    assert len(desk.replies) == 1


def test_many_entries_do_not_fill_a_disk_that_is_nearly_full(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger whose disk is full issues nothing until a restart; a station is removed all the same."""
    room = ROOM_MIN + 1024 * 1024
    monkeypatch.setattr(durable_files, "free_bytes", lambda _: room)
    many = [OrderOpened(NOW, f"2026-{number}", "gateway", 1) for number in range(300)]
    desk.step(many, [ORDER])
    refused, done = desk.outcomes
    assert refused.error is not None
    assert refused.error.code == Code.DISK_FULL
    assert len(done.written) == 1
    assert desk.ledger.head().size == 1
    room *= 2
    desk.step(many)
    assert desk.ledger.head().size == 300  # one is open already


def test_several_in_one_step_are_each_answered(desk: Desk) -> None:
    desk.step([ORDER], [ORDER], [], [OrderClosed(NOW, "2026-118", "done")])
    assert [list(each.written) for each in desk.outcomes] == [[0], [None], [], [1]]


def test_refusal_is_told_and_the_others_go_on(desk: Desk) -> None:
    refused = UsageError("There is no such order.", code=Code.USAGE)
    desk.step(refused, [ORDER], ZeroDivisionError("secret"))
    errors = [each.error for each in desk.outcomes]
    assert refused in errors
    (bug,) = (each for each in errors if each not in (None, refused))
    assert bug is not None
    assert "ZeroDivisionError" in str(bug)
    assert "secret" not in str(bug)
    assert [each.written for each in desk.outcomes if each.error is None] == [(0,)]


def test_nothing_is_acknowledged_that_is_not_written(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        desk.ledger.failed = True
        raise AtcaProvError("The disk is full.", code=Code.RECORDS_FAILED)

    monkeypatch.setattr(desk.ledger, "commit", fails)
    desk.step([ORDER], [OrderClosed(NOW, "2026-118", "done")])
    assert [each.error.code for each in desk.outcomes if each.error] == [Code.RECORDS_FAILED] * 2
    desk.step([ORDER])
    assert len(desk.outcomes) == 3
    assert desk.outcomes[-1].error is not None
