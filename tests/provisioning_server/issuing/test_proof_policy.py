"""A product that requires proofs: a station that leaves too many certificates unproven gets no further ones of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from atcaprov import Code
from atcaprov.certs.issued_record import Origin
from atcaprov.product_profile.profile import ProofPolicy, ProofRule
from atcaprov.wire.messages import CertificatesReply, ErrorReply, SignerReply, SignerRequest
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.proof_deadline import ProofDeadline
from provisioning_server.issuing.requests import ClientRequest, Reply, Request
from provisioning_server.ledger.administration import Revoked
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.signers.registry import SignerRegistry
from tests.provisioning_server.ledger.events import NOW, issued, reported, step
from tests.provisioning_server.ledger.events import SIGNER as EVENTS_SIGNER
from tests.support.in_memory_signer import MemorySigner
from tests.support.products import chip_of, profile_text, profiled
from tests.support.server_parts import RememberingLog, answer, chip_serial

SIGNER = MemorySigner()
DAY = timedelta(hours=24)
PROOF = '[proof]\npolicy = "required"\nwithin_hours = 24\nmost_overdue = 2'


class Line:
    """A server for the products a (proofs are required), b (optional) and c (none)."""

    def __init__(self, ledger: SqlLedger, within: timedelta | None = None) -> None:
        self.now = NOW
        self.log = RememberingLog()
        b = profile_text("b").replace("template_id = 2", "template_id = 5")
        self.products = profiled(profile_text("a", PROOF), b, profile_text("c", '[proof]\npolicy = "none"'))
        self.deadline = ProofDeadline(ledger, within, lambda: self.now, self.log, self.products.proof_rules)
        signers = SignerRegistry((SIGNER,))
        self.authority = Authority(
            signers, ledger, self.log, lambda: self.now, products=self.products, proofs=self.deadline
        )

    def look(self, at: datetime) -> int:
        self.now = at
        self.deadline.check()
        return self.deadline.overdue.number

    def ask(self, message: Request, station: str = "line-3") -> Reply:
        (reply,) = answer(self.authority, [ClientRequest(message, "192.0.2.7:40312", station=station)])
        assert reply is not None
        return reply


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    with contextlib.closing(open_ledger(tmp_path / "ledger.sqlite3", NOW)) as ledger:
        yield ledger


def of(product: str, station: str = "line-3") -> Origin:
    return Origin(station=station, product=product)


def test_only_what_needs_a_proof_is_late(ledger: SqlLedger) -> None:
    step(ledger, issued(1, origin=of("a")), issued(2, origin=of("b")), issued(3, origin=of("c")), issued(4))
    line = Line(ledger)
    assert line.look(NOW + DAY) == 0
    assert line.look(NOW + DAY + timedelta(seconds=1)) == 1
    assert line.log.lines[-1].startswith("warning: 1 certificate is not proven in time, that of Device (")
    assert Line(ledger, within=timedelta(hours=1)).look(NOW + timedelta(hours=2)) == 2, "b, and what has no product"
    step(ledger, reported(0, 1))
    assert line.look(NOW + 2 * DAY) == 0
    assert line.log.lines[-1] == "info: No certificate is late any more."


def test_station_that_owes_too_many_proofs_gets_no_new_certificate(ledger: SqlLedger) -> None:
    step(ledger, *(issued(number, origin=of("a")) for number in range(1, 4)))
    line = Line(ledger)
    message = chip_of(SIGNER, 9, "a")
    assert line.look(NOW + DAY) == 0
    line.now = NOW + DAY + timedelta(seconds=1)
    line.deadline.check()
    reply = line.ask(message)
    assert isinstance(reply, ErrorReply)
    assert (reply.code, reply.retryable) == (Code.PROOF_OVERDUE, True)
    assert reply.message.startswith(
        "Station line-3 has left 3 certificates of the product a unproven for more than 24 h; 2 are allowed."
    )
    offer = SignerRequest(SIGNER.documents.signer_public_key, product="a")
    before_stage_1 = line.ask(offer)
    assert isinstance(before_stage_1, ErrorReply)
    assert before_stage_1.code == Code.PROOF_OVERDUE
    assert isinstance(line.ask(offer, "line-4"), SignerReply)
    assert isinstance(line.ask(message, "line-4"), CertificatesReply), "another station goes on"


def test_station_goes_on_as_soon_as_its_reports_have_come(ledger: SqlLedger) -> None:
    step(ledger, *(issued(number, origin=of("a")) for number in range(1, 4)))
    line = Line(ledger)
    assert line.look(NOW + 2 * DAY) == 3
    message = chip_of(SIGNER, 9, "a")
    assert isinstance(line.ask(message), ErrorReply)
    step(ledger, reported(0, 1))
    assert isinstance(line.ask(message), ErrorReply), "the ledger is asked at most once a second"
    line.now += timedelta(seconds=1)
    assert isinstance(line.ask(message), CertificatesReply)


def test_revoked_certificates_are_not_owed(ledger: SqlLedger) -> None:
    step(ledger, *(issued(number, origin=of("a")) for number in range(1, 4)))
    line = Line(ledger)
    assert line.look(NOW + 2 * DAY) == 3
    serial = b"\x40" + (1).to_bytes(15, "big")
    step(ledger, Revoked(NOW, 0, chip_serial(1), EVENTS_SIGNER.serial, serial, "unspecified"))
    assert line.look(NOW + 2 * DAY) == 2


def test_stations_and_products_are_counted_apart(ledger: SqlLedger) -> None:
    step(ledger, issued(1, origin=of("a")), issued(2, origin=of("a")), issued(3, origin=of("a", "line-4")))
    step(ledger, issued(4, origin=of("b")), issued(5, origin=of("a", "")))
    line = Line(ledger)
    assert line.look(NOW + 2 * DAY) == 4
    assert isinstance(line.ask(chip_of(SIGNER, 9, "a")), CertificatesReply)


def test_board_that_has_its_certificate_is_finished(ledger: SqlLedger) -> None:
    line = Line(ledger)
    message = chip_of(SIGNER, 9, "a")
    first = line.ask(message)
    assert isinstance(first, CertificatesReply)
    step(ledger, *(issued(number, origin=of("a")) for number in range(1, 4)))
    assert line.look(NOW + 2 * DAY) == 4
    again = line.ask(message)
    assert isinstance(again, CertificatesReply)
    assert again.device_certificate == first.device_certificate


def test_many_unproven_certificates_that_need_no_proof_hide_none(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning_server.issuing.proof_deadline.COUNTED_MAX", 4)
    step(ledger, *(issued(number, origin=of("c")) for number in range(1, 20)))
    line = Line(ledger)
    assert line.look(NOW + 2 * DAY) == 0
    step(ledger, *(issued(number, origin=of("a")) for number in range(20, 23)))
    assert line.look(NOW + 2 * DAY) == 3
    assert line.look(NOW + 2 * DAY) == 3


def test_new_rules_after_a_reload_count_what_was_issued_before(ledger: SqlLedger) -> None:
    step(ledger, issued(1, origin=of("c")))
    line = Line(ledger)
    assert line.look(NOW + 2 * DAY) == 0
    line.products.replace(profiled(profile_text("c", PROOF)).all)
    assert line.look(NOW + 2 * DAY) == 1


def test_rules_are_those_of_the_profiles() -> None:
    rules = profiled(profile_text("a", PROOF), profile_text("b")).proof_rules()
    assert rules == {"a": ProofRule(ProofPolicy.REQUIRED, 24, 2), "b": ProofRule()}
