"""A station that was removed between asking and being answered gets nothing more."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerRequest
from provisioning_server import rejections
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.requests import Administration, AdministrationOutcome, ClientRequest
from provisioning_server.ledger.administration import StationAdmitted, StationRemoved
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.ledgers import ledger_in
from tests.support.server_parts import RememberingLog, request, step


class Table:
    """Admits every station that was not removed."""

    def __init__(self) -> None:
        self.removed: set[str] = set()

    def refusal(self, name: str) -> ErrorReply | None:
        return rejections.station_removed(name) if name in self.removed else None

    def remove(self, name: str) -> None:
        self.removed.add(name)


class Hall:
    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger
        self.signer = MemorySigner()
        self.table = Table()
        self.authority = Authority(
            SignerRegistry([self.signer]), ledger, RememberingLog(), lambda: NOW, stations=self.table
        )
        self.replies: list[object] = []
        self.outcomes: list[AdministrationOutcome] = []

    def asked(self, station: str, message: CertificatesRequest | SignerRequest) -> ClientRequest:
        return ClientRequest(message, "192.0.2.7:40001", self.replies.append, station)

    def removal(self, station: str) -> Administration:
        return Administration(lambda _: [StationRemoved(NOW, station, "stolen")], self.outcomes.append)

    def run(self, *items: ClientRequest | Administration) -> list[str]:
        self.replies.clear()
        step(self.authority, items)
        while self.authority.waits is not None:
            step(self.authority, [])
        return ["good" if not isinstance(reply, ErrorReply) else reply.code for reply in self.replies]


@pytest.fixture
def hall(tmp_path: Path) -> Iterator[Hall]:
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        hall = Hall(ledger)
        admitted = [StationAdmitted(NOW, name, name.encode()) for name in ("line-1", "line-2")]
        hall.run(Administration(lambda _: admitted, hall.outcomes.append))
        yield hall


def test_requests_behind_a_removal_in_one_step_get_nothing(hall: Hall) -> None:
    before = hall.asked("line-1", request(hall.signer, 1))
    behind = hall.asked("line-1", request(hall.signer, 2))
    other = hall.asked("line-2", request(hall.signer, 3))
    offer = hall.asked("line-1", SignerRequest(hall.signer.documents.signer_public_key))
    codes = hall.run(before, hall.removal("line-1"), behind, other, offer)
    assert sorted(codes) == ["good", "good", "station-removed", "station-removed"]
    assert hall.signer.signatures == 2
    kinds = [entry.kind for entry in hall.ledger.entries(0, 99)]
    assert kinds[:2] == ["station-admitted"] * 2
    assert kinds.count("issued") == 2


def test_request_that_waits_for_another_gets_nothing_after_the_removal(hall: Hall) -> None:
    """Two stations ask for one chip: the second waits for the first, and is removed meanwhile."""
    first = hall.asked("line-2", request(hall.signer, 1))
    second = hall.asked("line-1", request(hall.signer, 1))
    hall.replies.clear()
    step(hall.authority, [first, second])
    hall.table.remove("line-1")
    while hall.authority.waits is not None:
        step(hall.authority, [])
    good, refused = hall.replies
    assert isinstance(good, CertificatesReply)
    assert isinstance(refused, ErrorReply)
    assert refused.code == "station-removed"


def test_plain_connections_have_no_station_to_remove(hall: Hall) -> None:
    assert hall.run(hall.removal("line-1"), hall.asked("", request(hall.signer, 1))) == ["good"]
