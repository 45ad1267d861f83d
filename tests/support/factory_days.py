"""A ledger of some days in a factory: certificates of two signers in many hours, and reports of their boards.

The certificates are copies of one, each for a chip and a key of its own: what is shown of them is not verified.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.issued_record import IssuedRecord, Origin
from atcaprov.errors import Board
from provisioning_server.ledger.administration import (
    OrderClosed,
    OrderOpened,
    Revoked,
    StationAdmitted,
    StationInvited,
    StationRemoved,
)
from provisioning_server.ledger.changes import Changes, Issued, Reported
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.support.ledgers import record, signer
from tests.support.server_parts import chip_serial

PER_HOUR = (0, 0, 3, 7, 9, 8, 6, 9)
"""Certificates in the hours of a day that has a shift in them; it begins again."""
_FATES = (
    *((Board.GOOD, ""),) * 9,
    (Board.RETRY, "chip-communication"),
    *((Board.GOOD, ""),) * 7,
    (Board.SET_ASIDE, "config-zone-invalid"),
    *((Board.GOOD, ""),) * 5,
    (Board.SCRAP, "chip-locked"),
)


def fill(ledger: SqlLedger, now: datetime, hours: int) -> int:
    """Add the certificates of the last hours until `now`, and their reports; return how many there are."""
    number = 0
    for back in reversed(range(hours)):
        begin = (now - timedelta(hours=back)).replace(minute=0, second=0)
        issued = list(_records(begin, number, PER_HOUR[back % len(PER_HOUR)]))
        if not issued:
            continue
        first = ledger.commit(Changes([signer().documents], events=[Issued(each, b"\1" * 32) for each in issued]))
        reports = [_report(each, first.first_index + place, number + place) for place, each in enumerate(issued)]
        ledger.commit(Changes(events=[*reports[: len(reports) - 1]]))  # the last one is not proven yet
        number += len(issued)
    return number


def _records(begin: datetime, number: int, count: int) -> Iterator[IssuedRecord]:
    pattern = record(1)
    for place in range(count):
        origin = Origin(f"line-{1 + (number + place) % 2}", unit=f"U{number + place:06}", label=f"box {number + place}")
        key = sha256(b"%d" % (number + place)).digest()
        yield replace(
            pattern,
            time=begin + timedelta(minutes=place),
            chip_serial=chip_serial(number + place + 1),
            public_key=key + key,
            certificate_serial=key[:16],
            origin=origin,
        )


def _report(issued: IssuedRecord, index: int, number: int) -> Reported:
    fate, code = _FATES[number % len(_FATES)]
    moment = issued.time + timedelta(seconds=20)
    return Reported(
        index, issued.chip_serial, b"\1" * 32, b"\2" * 64 if fate == Board.GOOD else b"", b"", fate, code, (), moment,
        moment, issued.client,
    )  # fmt: skip


def administer(ledger: SqlLedger, now: datetime) -> None:
    """Add stations, work orders and a revoked certificate, which is that of the first entry."""
    day = timedelta(days=1)
    first = ledger.tables.at(0)
    assert first is not None
    numbers = first.record.chip_serial, first.record.signer_serial, first.record.certificate_serial
    ledger.commit(
        Changes(
            events=[
                StationAdmitted(now - 40 * day, "line-1", _certificate("line-1", now + 200 * day), by="test"),
                StationAdmitted(now - 30 * day, "line-2", _certificate("line-2", now + 3 * day), by="test"),
                StationAdmitted(now - 30 * day, "old", _certificate("old", now + 3 * day), by="test"),
                StationRemoved(now - day, "old", "sold", by="test"),
                StationInvited(now, "line-3", b"\3" * 32, now + day, by="test"),
                OrderOpened(now - 2 * day, "A-1001", "thermostat", 500, ends=now + day / 2, by="test"),
                OrderOpened(now - day, "A-1002", by="test"),
                OrderOpened(now - 9 * day, "A-0999", "thermostat", 100, by="test"),
                OrderClosed(now - day, "A-0999", "shipped", by="test"),
                Revoked(now, 0, *numbers, "keyCompromise", "lost in the mail", "test"),
            ]
        )
    )


def _certificate(name: str, ends: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, ends - timedelta(days=365), ends)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
