"""An audit of revocations: each is of a certificate, and each list has what was revoked before it, no more, no less."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from atcaprov.transparency.ledger_checkpoint import LogOrigin
from atcaprov.transparency.verifier_keys import Ed25519Signer
from provisioning_server.audit.birth_record import make_birth_record
from provisioning_server.audit.log_source import FolderLog, LedgerLog
from provisioning_server.audit.verify_birth import verify_birth_record
from provisioning_server.audit.verify_log import AuditOrder, verify_log
from provisioning_server.ledger.administration import CrlIssued, Revoked
from provisioning_server.ledger.changes import Event
from provisioning_server.revocation.crl import CrlIssuer, PendingCrl, RevokedCertificate
from provisioning_server.revocation.reasons import Reason
from tests.provisioning_server.audit.conftest import Exported
from tests.provisioning_server.audit.forged_folder import forge_folder
from tests.provisioning_server.audit.test_verify_log import audit, codes
from tests.provisioning_server.audit.true_ledger import SIGNER, certificate, fill, write
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.server_parts import chip_serial

LATER = NOW + timedelta(hours=1)


def revoked(index: int, chip: int, *, reason: str = "keyCompromise", at: datetime = NOW) -> Revoked:
    record = certificate(chip).record
    at = at.replace(microsecond=0)
    return Revoked(at, index, record.chip_serial, record.signer_serial, record.certificate_serial, reason)


def a_list(*entries: Revoked, number: int = 7, at: datetime = LATER, signer: MemorySigner = SIGNER) -> CrlIssued:
    listed = [RevokedCertificate(each.certificate_serial, each.time, Reason(each.reason)) for each in entries]
    at = at.replace(microsecond=0)
    issuer = CrlIssuer.of(signer.documents)
    pending = PendingCrl(issuer, listed, number=number, this_update=at, next_update=at + timedelta(days=7))
    return CrlIssued(at, SIGNER.serial, number, pending.finish(signer.sign(pending.digest)))


def test_true_revocations_and_lists_are_found_true(exported: Exported) -> None:
    fill(exported.ledger, 3)
    first, second = revoked(0, 1), revoked(2, 2, reason="unspecified", at=LATER)
    write(exported.ledger, a_list(number=6, at=NOW), first, a_list(first), second)
    write(exported.ledger, a_list(first, second, number=8, at=LATER + timedelta(days=1)))
    for source in (exported.export(), LedgerLog(exported.ledger)):
        found = audit(source, exported)
        assert found.findings == []
        assert "Revoked certificates: 2. Lists of them: 3, each with what was revoked before it." in found.checked


def audit_of(folder: Path, *events: Event) -> list[tuple[str, int | None]]:
    """Return what an audit finds in the log of a server that lies."""
    origin = str(LogOrigin(bytes(16), 1))
    key = Ed25519Signer(origin, Ed25519PrivateKey.from_private_bytes(bytes(32)))
    forge_folder(folder / "forged", events, key)
    return codes(verify_log(FolderLog(folder / "forged"), AuditOrder(key=key.key)))


ONE, TWO = certificate(1), certificate(2)
FIRST, SECOND = revoked(0, 1), revoked(1, 2)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (revoked(0, 2), "revocation-without-certificate"),
        (revoked(3, 1), "revocation-without-certificate"),
        (revoked(77, 1), "revocation-without-certificate"),
        (replace(FIRST, certificate_serial=b"\x40\x01"), "revocation-without-certificate"),
        (replace(FIRST, signer_serial=bytes(9)), "revocation-without-certificate"),
        (replace(SECOND, note="again"), "revoked-twice"),
    ],
)
def test_a_revocation_of_something_else_is_found(tmp_path: Path, event: Revoked, code: str) -> None:
    assert audit_of(tmp_path, ONE, TWO, SECOND, event) == [(code, 3)]


@pytest.mark.parametrize(
    "issued",
    [
        a_list(FIRST),
        a_list(FIRST, SECOND, replace(SECOND, certificate_serial=b"\x40\x01")),
        a_list(FIRST, replace(SECOND, reason="superseded")),
        a_list(FIRST, replace(SECOND, time=SECOND.time + timedelta(seconds=1))),
        a_list(FIRST, SECOND, signer=MemorySigner()),
        replace(a_list(FIRST, SECOND), number=8),
        a_list(FIRST, SECOND, number=6),
        replace(a_list(FIRST, SECOND), crl=b"garbage"),
        replace(a_list(FIRST, SECOND), crl=a_list(FIRST, SECOND).crl[:-1]),
    ],
    ids=["missing", "too many", "reason", "time", "signer", "other number", "number back", "garbage", "cut"],
)
def test_a_list_that_is_not_what_the_log_says_is_found(tmp_path: Path, issued: CrlIssued) -> None:
    before = a_list(FIRST, SECOND, number=6, at=NOW + timedelta(minutes=5))
    assert audit_of(tmp_path, ONE, TWO, FIRST, SECOND, before, issued) == [("crl-invalid", 5)]


def test_what_is_revoked_while_a_list_is_signed_may_be_in_the_next_one(tmp_path: Path) -> None:
    meanwhile = revoked(1, 2, at=LATER - timedelta(seconds=1))
    assert audit_of(tmp_path, ONE, TWO, FIRST, meanwhile, a_list(FIRST)) == []


def test_a_certificate_that_supersedes_a_revoked_one_is_no_finding(tmp_path: Path) -> None:
    again = certificate(1, key=77, seconds=60)
    assert audit_of(tmp_path, ONE, revoked(0, 1, reason="superseded"), again) == []
    assert audit_of(tmp_path / "late", ONE, again, revoked(0, 1, reason="superseded")) == [("chip-certified-twice", 1)]


def test_a_certificate_after_one_that_was_compromised_is_a_finding(tmp_path: Path) -> None:
    assert audit_of(tmp_path, ONE, FIRST, certificate(1, key=77, seconds=60)) == [("chip-certified-twice", 2)]


def test_a_birth_record_tells_that_the_certificate_was_revoked(exported: Exported) -> None:
    fill(exported.ledger, 2)
    write(exported.ledger, revoked(0, 1), a_list(revoked(0, 1)))
    signer = exported.signer
    records = [
        make_birth_record(exported.ledger, chip_serial(chip), signer.checkpoint(), signer.verifier_key)
        for chip in (1, 2)
    ]
    found = [verify_birth_record(record, AuditOrder(key=signer.verifier_key)) for record in records]
    assert [each.findings for each in found] == [[], []]
    remark = "Certificates of the chip that were revoked: 1."
    assert [remark in each.remarks for each in found] == [True, False]
