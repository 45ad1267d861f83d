"""What the pages show of certificates: rows of lists, the facts of one, what happened to its chip."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple

from cryptography import x509

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.terminal.printable import printable
from provisioning_server.ledger.administration import Revoked
from provisioning_server.ledger.changes import Issued, Lost, Reported
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.store import LogEntry, StoredCertificate


@dataclass(frozen=True, slots=True)
class CertificateRow:
    """A certificate in a list, as printable texts. `state` gives the sign before its `status`."""

    index: int
    time: str
    chip: str
    serial: str
    status: str
    state: str
    board: str
    asker: str
    signer: str


class Fact(NamedTuple):
    """A name and a text; `code` says that it is to be read digit by digit."""

    name: str
    text: str
    code: bool = False


class Happened(NamedTuple):
    """An entry of the log: its index, when it was, and what."""

    entry: int
    time: str
    text: str


def row_of(stored: StoredCertificate) -> CertificateRow:
    """Return the row of a certificate."""
    record, state = stored.record, state_of(stored)
    return CertificateRow(
        index=stored.index,
        time=minute(record.time),
        chip=record.chip_serial.hex().upper(),
        serial=record.certificate_serial.hex().upper(),
        status={"revoked": "Revoked", "proven": "Proven", "unproven": "Not proven"}[state],
        state=state,
        board=printable(stored.fate) or "-",
        asker=asker_of(record),
        signer=printable(record.signer_name),
    )


def state_of(stored: StoredCertificate) -> str:
    """Return `revoked`, `proven` or `unproven`."""
    if stored.revoked is not None:
        return "revoked"
    return "unproven" if stored.proven is None else "proven"


def asker_of(record: IssuedRecord) -> str:
    """Return who asked for a certificate: the station, or the address of an unnamed one."""
    return printable(record.origin.station or record.client.rpartition(":")[0] or record.client) or "-"


def facts_of(stored: StoredCertificate) -> list[Fact]:
    """Return what is known of a certificate; what is unknown is left out."""
    record, origin = stored.record, stored.record.origin
    facts = [
        Fact("Issued", second(record.time)),
        Fact("Proven", second(stored.proven) if stored.proven else "no"),
        Fact("Board", stored.fate or "no report"),
        Fact("Revoked", second(stored.revoked) if stored.revoked else ""),
        Fact("Chip", record.chip_serial.hex().upper(), code=True),
        Fact("Certificate serial number", record.certificate_serial.hex().upper(), code=True),
        Fact("Unit", origin.unit),
        Fact("Label", origin.label),
        Fact("Product", origin.product),
        Fact("Work order", origin.order),
        Fact("Station", origin.station),
        Fact("Asked from", record.client),
        Fact("Request", origin.request_id.hex(), code=True),
        Fact("Signer", f"{record.signer_name} ({record.signer_serial.hex().upper()})"),
        *_of_der(record.certificate),
        Fact("Public key (X, Y)", record.public_key.hex().upper(), code=True),
        Fact("SHA-256 of the certificate", sha256(record.certificate).hexdigest().upper(), code=True),
        Fact("Entry of the log", f"{stored.index:,}"),
    ]
    return [Fact(fact.name, printable(fact.text), fact.code) for fact in facts if fact.text]


def happened(entry: LogEntry) -> Happened:
    """Return an entry about a chip for people."""
    try:
        event = decode(entry.body.decode())
    except ValueError:
        return Happened(entry.index, "", f"This entry is damaged ({entry.kind}).")
    time, text = None, entry.kind
    if isinstance(event, Issued):
        time, text = event.record.time, f"Certificate {event.record.certificate_serial.hex().upper()} issued"
        text += f" for {asker_of(event.record)} by {event.record.signer_name}."
    elif isinstance(event, Reported):
        time, text = event.received, _reported(event)
    elif isinstance(event, Lost):
        time, text = event.time, f"A request ended without a certificate: {event.reason}."
    elif isinstance(event, Revoked):
        by = f" By {event.by}." if event.by else ""
        note = f" {event.note.rstrip('.')}." if event.note else ""
        time, text = event.time, f"Revoked, {event.reason}.{note}{by}"
    return Happened(entry.index, second(time) if time else "", printable(text))


def minute(moment: datetime) -> str:
    """Return a time in a list."""
    return f"{moment:%Y-%m-%d %H:%M}"


def second(moment: datetime) -> str:
    """Return a time to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _reported(event: Reported) -> str:
    proof = "with its proof" if event.proven else "without a proof"
    code = f", {event.code}" if event.code else ""
    seconds = sum(stage.milliseconds for stage in event.stages) / 1000
    took = f" The run took {seconds:.1f} s." if event.stages else ""
    return f"Reported as {event.fate}{code}, {proof}.{took}"


def _of_der(der: bytes) -> list[Fact]:
    """Return what stands in a certificate; one that is not understood has been issued by other rules."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return [
            Fact("Subject", certificate.subject.rfc4514_string()),
            Fact("Issuer", certificate.issuer.rfc4514_string()),
            Fact("Valid from", second(certificate.not_valid_before_utc)),
            Fact("Valid to", second(certificate.not_valid_after_utc)),
        ]
    except ValueError:
        return [Fact("Subject", "not readable")]
