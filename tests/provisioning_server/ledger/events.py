"""Events, intents and steps for tests of ledgers. A ledger does not look at what is in them, so nothing is signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from atcaprov.certs.issued_record import NO_ORIGIN, IssuedRecord, Origin
from provisioning_server.ledger.administration import (
    CrlIssued,
    OrderClosed,
    OrderOpened,
    Revoked,
    StationAdmitted,
    StationInvited,
    StationRemoved,
)
from provisioning_server.ledger.changes import (
    NO_CERTIFICATE,
    CertificatesRecovered,
    Changes,
    ClockAccepted,
    CounterSeen,
    Event,
    FolderImported,
    Intent,
    Issued,
    LossesSettled,
    Lost,
    Reported,
    RollbackAccepted,
    StageOutcome,
)
from provisioning_server.ledger.store import Committed, Ledger
from tests.support.in_memory_signer import MemorySigner
from tests.support.server_parts import chip_serial

NOW: Final = datetime(2026, 11, 21, 10, 15, 40, tzinfo=UTC)
SIGNER: Final = MemorySigner()
DOCUMENTS: Final = SIGNER.documents
SERVER: Final = "00112233aabbccdd"
ORIGIN: Final = Origin("line-3", "2026-117", "gateway", "0004A3FFFE0B2C11", 'Gerät "7"', bytes(range(16)))


def crl_intent(number: int, *, last: int = NO_CERTIFICATE, server: str = SERVER) -> Intent:
    """An intent of the signer's list."""
    return Intent(
        chip_serial=SIGNER.serial,
        public_key=DOCUMENTS.signer_public_key,
        signer_serial=SIGNER.serial,
        signer_key=DOCUMENTS.signer_public_key,
        documents=DOCUMENTS.document_id,
        time=NOW,
        unsigned=b"list to be signed",
        server=server,
        last_index=last,
        crl_number=number,
    )


def public_key(number: int) -> bytes:
    return number.to_bytes(32, "big") * 2


def challenge_of(number: int) -> bytes:
    return number.to_bytes(32, "little")


def intent(
    chip: int,
    key: int | None = None,
    *,
    last: int = NO_CERTIFICATE,
    server: str = SERVER,
    origin: Origin = NO_ORIGIN,
) -> Intent:
    return Intent(
        chip_serial=chip_serial(chip),
        public_key=public_key(chip if key is None else key),
        signer_serial=SIGNER.serial,
        signer_key=DOCUMENTS.signer_public_key,
        documents=DOCUMENTS.document_id,
        time=NOW,
        unsigned=b"to be signed",
        server=server,
        client="192.0.2.7:40312",
        last_index=last,
        origin=origin,
    )


def issued(
    chip: int, key: int | None = None, *, after: int = 0, challenge: int | None = None, origin: Origin = NO_ORIGIN
) -> Issued:
    record = IssuedRecord(
        time=NOW + timedelta(seconds=after),
        chip_serial=chip_serial(chip),
        signer_serial=SIGNER.serial,
        signer_name='Example "ATECC608A" Signer, Zürich',
        signer_id=b"\xc4\x8b",
        certificate_serial=b"\x40" + chip.to_bytes(15, "big"),
        public_key=public_key(chip if key is None else key),
        compressed=bytes(72),
        documents=DOCUMENTS.document_id,
        certificate=b"certificate",
        client="192.0.2.7:40312",
        revision=bytes.fromhex("00006002"),
        origin=origin,
    )
    return Issued(record, challenge_of(chip if challenge is None else challenge))


def lost(opened: Intent, *, signed: bool | None = True) -> Lost:
    return Lost(opened, NOW, signed, "the server was stopped while it was signed")


def reported(
    index: int,
    chip: int,
    *,
    signature: bytes = bytes(64),
    fate: str = "good",
    received: datetime = NOW,
    origin: Origin = NO_ORIGIN,
) -> Reported:
    return Reported(
        certificate_index=index,
        chip_serial=chip_serial(chip),
        challenge=challenge_of(chip),
        signature=signature,
        contents=bytes(32),
        fate=fate,
        code="",
        stages=(StageOutcome(9, "done", 412), StageOutcome(10, "done", 250)),
        finished=NOW,
        received=received,
        client="192.0.2.7:40312",
        station=origin.station,
        request_id=origin.request_id,
    )


ONE_OF_EACH: Final[tuple[Event, ...]] = (
    issued(1, origin=ORIGIN),
    lost(intent(2, origin=ORIGIN)),
    lost(intent(3, origin=ORIGIN), signed=None),
    reported(0, 1, origin=ORIGIN),
    ClockAccepted(NOW, NOW + timedelta(days=90), "the battery was empty"),
    RollbackAccepted(NOW, "restored from last night's backup", SIGNER.serial, 12, b"a signed note\n"),
    LossesSettled(NOW, SIGNER.serial, 3, 1),
    CounterSeen(NOW, SIGNER.serial, 40, 28),
    FolderImported(NOW, (("signing-20261120-060000.tsv", "00" * 32, 1500),)),
    CertificatesRecovered(NOW, "restored from last night's backup", 3),
    StationInvited(NOW, "line-3", bytes(range(32)), NOW + timedelta(hours=1), "console"),
    StationAdmitted(NOW, "line-3", b"certificate of the station", bytes(range(32)), "console"),
    StationRemoved(NOW, "line-3", "stolen", "console"),
    OrderOpened(NOW, "2026-118", "gateway", 500, NOW, NOW + timedelta(days=7), "GW-[0-9]{6}", ("line-3",), "console"),
    OrderClosed(NOW, "2026-118", "done", "console"),
    Revoked(NOW, 0, chip_serial(1), SIGNER.serial, b"\x40" + bytes(15), "keyCompromise", "lost", "console"),
    CrlIssued(NOW, SIGNER.serial, 1, b"list"),
    lost(crl_intent(2)),
)


def step(ledger: Ledger, *events: Event, intents: Sequence[Intent] = ()) -> Committed:
    """Write a step with the documents that its certificates need."""
    return ledger.commit(Changes(documents=[DOCUMENTS], events=list(events), intents=list(intents)))
