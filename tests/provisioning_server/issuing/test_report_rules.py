"""Reports on the SQLite ledger: proofs, repeated and replayed reports, garbage in every field."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atcaprov.wire.messages import ErrorReply, ReportReply, ReportRequest
from provisioning_server import rejections
from provisioning_server.issuing.issuance import issue
from provisioning_server.issuing.report_rules import AcceptedReport, BatchReports, ReportRules, report_reply
from provisioning_server.issuing.requests import ClientRequest
from provisioning_server.ledger.changes import Changes, GivenChallenge, Issued
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.ledger.store import StoredCertificate
from tests.support.in_memory_signer import NOW, MemorySigner, SigningKey
from tests.support.reports import Product
from tests.support.server_parts import chip_serial

SIGNER = MemorySigner()


class Desk:
    """Issues certificates to a ledger and takes reports, a batch at a time, as an authority does."""

    def __init__(self, path: Path) -> None:
        self.ledger = open_ledger(path, NOW)
        self.now = NOW + timedelta(minutes=1)
        self.rules = ReportRules(self.ledger, lambda: self.now)

    def issue(self, number: int) -> Product:
        key = SigningKey()
        record = issue(SIGNER, key.public_key, chip_serial(number), NOW)
        challenge = secrets.token_bytes(32)
        self.ledger.commit(Changes(documents=[SIGNER.documents], events=[Issued(record, challenge)]))
        return Product(key, chip_serial(number), record.certificate, challenge)

    def challenge_again(self, product: Product) -> bytes:
        challenge = secrets.token_bytes(32)
        index = self.stored(product).index
        self.ledger.commit(Changes(challenges=[GivenChallenge(challenge, index, self.now)]))
        return challenge

    def take(self, *requests: ReportRequest, client: str = "") -> list[AcceptedReport | ErrorReply]:
        batch = BatchReports()
        known = self.ledger.known({request.chip_serial for request in requests}, set())
        outcomes = [self.rules.decide(request, ClientRequest(request, client), known, batch) for request in requests]
        if batch.events:
            self.ledger.commit(Changes(events=list(batch.events)))
        return outcomes

    def stored(self, product: Product) -> StoredCertificate:
        return self.ledger.known({product.chip}, set()).of_chip(product.chip)[-1]

    @property
    def size(self) -> int:
        return self.ledger.head().size


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "ledger.sqlite3")
    yield desk
    desk.ledger.close()


def _accepted(outcome: AcceptedReport | ErrorReply) -> AcceptedReport:
    assert isinstance(outcome, AcceptedReport), outcome
    return outcome


def test_certificate_is_issued_then_proven(desk: Desk) -> None:
    product = desk.issue(1)
    assert desk.stored(product).proven is None
    (outcome,) = desk.take(product.report(), client="192.0.2.7:40312")
    assert _accepted(outcome).proven
    stored = desk.stored(product)
    assert (stored.proven, stored.fate) == (desk.now, "good")
    reported = desk.ledger.reported(product.chip, product.challenge)
    assert reported == _accepted(outcome).reported
    assert reported is not None
    assert (reported.client, reported.finished) == ("192.0.2.7:40312", NOW + timedelta(seconds=20))


def test_report_without_a_signature_is_recorded_and_proves_nothing(desk: Desk) -> None:
    product = desk.issue(1)
    (outcome,) = desk.take(product.report(signed=False, fate="scrap", code="key-mismatch"))
    assert not _accepted(outcome).proven
    assert (desk.stored(product).proven, desk.stored(product).fate) == (None, "scrap")


def test_same_report_is_acknowledged_again_and_recorded_once(desk: Desk) -> None:
    product = desk.issue(1)
    report = product.report()
    desk.take(report)
    size = desk.size
    desk.now += timedelta(days=3)
    for number in (1, 2):
        (outcome,) = desk.take(replace(report, request_number=number), client="198.51.100.9:1")
        assert _accepted(outcome).proven
    assert desk.size == size


def test_same_report_twice_in_a_batch_is_recorded_once(desk: Desk) -> None:
    product = desk.issue(1)
    size = desk.size
    outcomes = desk.take(product.report(signed=False), product.report(signed=False))
    assert [_accepted(outcome).proven for outcome in outcomes] == [False, False]
    assert desk.size == size + 1


def test_same_report_is_known_after_a_restart(desk: Desk, tmp_path: Path) -> None:
    product = desk.issue(1)
    report = product.report()
    desk.take(report)
    desk.ledger.close()
    again = Desk(tmp_path / "ledger.sqlite3")
    assert _accepted(*again.take(report)).proven
    assert again.size == len(again.ledger.entries(0, 100)) == 2
    again.ledger.close()


@pytest.mark.parametrize(
    "changed",
    [
        {"fate": "scrap"},
        {"code": "key-mismatch"},
        {"stages": ()},
        {"finished": 1},
        {"signature": b"", "contents_sha256": b""},
        {"contents_sha256": bytes(32)},
        {"signature": bytes(64)},
    ],
    ids=lambda changed: "-".join(changed),
)
@pytest.mark.parametrize("together", [False, True], ids=["later", "in-one-batch"])
def test_other_report_with_the_same_challenge_is_refused(desk: Desk, changed: dict[str, Any], together: bool) -> None:
    product = desk.issue(1)
    first, other = product.report(), product.report(**changed)
    outcome = desk.take(first, other)[1] if together else (desk.take(first), desk.take(other))[1][0]
    assert outcome == rejections.REPORT_DIFFERS
    assert (desk.stored(product).fate, desk.stored(product).proven) == ("good", desk.now)


def test_report_for_another_chip_is_refused(desk: Desk) -> None:
    one, other = desk.issue(1), desk.issue(2)
    for report in (one.report(chip_serial=other.chip), one.report(chip_serial=chip_serial(3))):
        assert desk.take(report) == [rejections.CHALLENGE_UNKNOWN]
    assert desk.stored(one).fate == desk.stored(other).fate == ""


def test_report_for_another_challenge_is_refused(desk: Desk) -> None:
    one, other = desk.issue(1), desk.issue(2)
    assert desk.take(one.report(challenge=other.challenge)) == [rejections.CHALLENGE_UNKNOWN]
    assert desk.take(one.report(challenge=bytes(32))) == [rejections.CHALLENGE_UNKNOWN]
    fresh = desk.challenge_again(one)
    replayed = replace(one.report(), challenge=fresh)  # the signature answers the first challenge
    assert desk.take(replayed) == [rejections.PROOF_INVALID]
    assert desk.stored(one).proven is None


def test_report_for_another_certificate_is_refused(desk: Desk) -> None:
    one, other = desk.issue(1), desk.issue(2)
    digest = hashlib.sha256(other.certificate).digest()
    assert desk.take(one.report(certificate_sha256=digest)) == [rejections.REPORT_MISMATCH]


def test_signature_of_another_key_is_refused(desk: Desk) -> None:
    product = desk.issue(1)
    thief = replace(product, key=SigningKey())
    assert desk.take(thief.report()) == [rejections.PROOF_INVALID]
    assert desk.stored(product).fate == ""


def test_signature_over_the_bare_challenge_is_refused(desk: Desk) -> None:
    product = desk.issue(1)
    report = product.report(signature=product.key.sign(product.challenge))
    assert desk.take(report) == [rejections.PROOF_INVALID]


def test_signature_without_contents_is_refused(desk: Desk) -> None:
    product = desk.issue(1)
    assert desk.take(product.report(contents_sha256=b"")) == [rejections.PROOF_INVALID]
    certificate = hashlib.sha256(product.certificate).digest()
    over_nothing = hashlib.sha256(b"atcaprov proof of possession 1\n" + product.challenge + certificate).digest()
    report = product.report(contents_sha256=b"", signature=product.key.sign(over_nothing))
    assert desk.take(report) == [rejections.PROOF_INVALID], "it says nothing of what is on the chip"


def test_board_that_comes_again_is_proven_by_its_fresh_challenge(desk: Desk) -> None:
    product = desk.issue(1)
    desk.take(product.report(signed=False, fate="retry", code="device-no-reply"))
    fresh = desk.challenge_again(product)
    assert _accepted(*desk.take(product.report(challenge=fresh))).proven
    assert (desk.stored(product).fate, desk.stored(product).proven) == ("good", desk.now)


def test_later_failure_does_not_unprove(desk: Desk) -> None:
    product = desk.issue(1)
    desk.take(product.report())
    proven = desk.stored(product).proven
    fresh = desk.challenge_again(product)
    desk.now += timedelta(hours=1)
    (outcome,) = desk.take(product.report(challenge=fresh, signed=False, fate="scrap", code="certificate-mismatch"))
    assert _accepted(outcome).proven
    assert (desk.stored(product).fate, desk.stored(product).proven) == ("scrap", proven)


def test_failed_report_late_in_a_batch_does_not_unprove(desk: Desk) -> None:
    product = desk.issue(1)
    fresh = desk.challenge_again(product)
    outcomes = desk.take(product.report(), product.report(challenge=fresh, signed=False, fate="retry"))
    assert [_accepted(outcome).proven for outcome in outcomes] == [True, True]


def test_rejected_reports_do_not_disturb_their_batch(desk: Desk) -> None:
    products = [desk.issue(number) for number in (1, 2, 3)]
    good = [product.report() for product in products]
    bad = [product.report(certificate_sha256=bytes(32)) for product in products]
    outcomes = desk.take(*(report for pair in zip(bad, good, strict=True) for report in pair))
    assert [isinstance(outcome, AcceptedReport) for outcome in outcomes] == [False, True] * 3
    assert all(desk.stored(product).proven for product in products)


def test_unproven_certificates_are_listed(desk: Desk) -> None:
    proven, failed, silent = (desk.issue(number) for number in (1, 2, 3))
    desk.take(proven.report(), failed.report(signed=False, fate="scrap"))
    listed = desk.ledger.unproven(NOW + timedelta(seconds=1), 0, 10)
    assert [stored.record.chip_serial for stored in listed] == [failed.chip, silent.chip]
    assert desk.ledger.unproven(NOW, 0, 10) == []


def test_report_to_a_ledger_that_failed_is_refused_for_now(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    product = desk.issue(1)
    known = desk.ledger.known({product.chip}, set())
    monkeypatch.setattr(desk.ledger, "failed", True)
    report = product.report()
    assert desk.rules.decide(report, ClientRequest(report), known, BatchReports()) == rejections.RECORDS_FAILED


def test_times_at_the_ends_of_the_calendar_are_kept(desk: Desk) -> None:
    for number, finished in enumerate((0, 253402300799)):
        product = desk.issue(number)
        assert _accepted(*desk.take(product.report(finished=finished))).proven
        reported = desk.ledger.reported(product.chip, product.challenge)
        assert reported is not None
        assert reported.finished == datetime.fromtimestamp(finished, UTC)


def test_reply_has_the_checkpoint_if_it_fits(desk: Desk) -> None:
    accepted = _accepted(*desk.take(desk.issue(1).report()))
    assert report_reply(accepted, b"") == ReportReply(True)
    assert report_reply(accepted, b"x" * 1024) == ReportReply(True, b"x" * 1024)
    assert report_reply(accepted, b"x" * 1025) == ReportReply(True)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_changed_field_never_proves(desk: Desk, data: st.DataObject) -> None:
    product = desk.issue(data.draw(st.integers(0, 1 << 30)))
    report = product.report()
    names = ("chip_serial", "certificate_sha256", "challenge", "signature", "contents_sha256")
    name = data.draw(st.sampled_from(names))
    value = bytearray(getattr(report, name))
    position = data.draw(st.integers(0, len(value) * 8 - 1))
    value[position // 8] ^= 1 << position % 8
    (outcome,) = desk.take(replace(report, **{name: bytes(value)}))  # type: ignore[arg-type]
    assert isinstance(outcome, ErrorReply)
    assert desk.stored(product).proven is None
