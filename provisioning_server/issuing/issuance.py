"""Makes one certificate: from a signer and a key to a record, and from a record to a reply. No rules, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from atcaprov.certs.issue import PendingCertificate
from atcaprov.certs.issued_record import NO_ORIGIN, IssuedRecord, Origin
from atcaprov.certs.rebuild import slot_contents
from atcaprov.wire.fields import SlotWrite
from atcaprov.wire.messages import CertificatesReply
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.signer import Signer


@dataclass(frozen=True, slots=True)
class Prepared:
    """A certificate that lacks only its signature; what is to be signed is checked."""

    pending: PendingCertificate
    public_key: bytes
    chip_serial: bytes
    time: datetime


def prepare(signer: Signer, public_key: bytes, chip_serial: bytes, now: datetime, unit: str = "") -> Prepared:
    """Build a certificate for a key (64 bytes X||Y) of a chip (9-byte serial number) at the moment `now` in UTC.

    `unit` is the unit's own name, if the signer's certificates have one. Raises CertificateError. The signer is not
    asked for anything.
    """
    documents = signer.documents
    pending = PendingCertificate(
        documents.device,
        subject_public_key=public_key,
        ca_public_key=documents.signer_public_key,
        signer_id=signer.signer_id,
        issue_date=documents.device.issue_date(now),
        chip_serial=chip_serial,
        unit=unit,
    )
    return Prepared(pending, public_key, chip_serial, now.replace(microsecond=0))


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who asks for a certificate, and the part that the chip reports: see `IssuedRecord`."""

    client: str = ""
    revision: bytes = b""
    config_revision: bytes = b""
    origin: Origin = NO_ORIGIN


UNKNOWN: Final = Applicant()


def finish(prepared: Prepared, signer: Signer, applicant: Applicant = UNKNOWN) -> IssuedRecord:
    """Sign a prepared certificate with its signer, and make its record.

    The signature is verified, and the certificate compared with what was checked, before this returns. Raises
    CertificateError, or what the signer raises.
    """
    issued = prepared.pending.finish(signer.sign(prepared.pending.digest))
    return IssuedRecord(
        time=prepared.time,
        chip_serial=prepared.chip_serial,
        signer_serial=signer.serial,
        signer_name=signer.name,
        signer_id=signer.signer_id,
        certificate_serial=issued.serial_number,
        public_key=prepared.public_key,
        compressed=issued.compressed,
        documents=signer.documents.document_id,
        certificate=issued.der,
        client=applicant.client,
        revision=applicant.revision,
        config_revision=applicant.config_revision,
        origin=applicant.origin,
    )


def issue(signer: Signer, public_key: bytes, chip_serial: bytes, now: datetime) -> IssuedRecord:
    """Prepare and finish at once, with a quick signer."""
    return finish(prepare(signer, public_key, chip_serial, now), signer)


def certificates_reply(record: IssuedRecord, documents: SignerDocuments, challenge: bytes = b"") -> CertificatesReply:
    """Return the reply with the certificates of a record, which is always the same but for the challenge."""
    device_writes = slot_contents(documents.device, compressed=record.compressed, public_key=record.public_key)
    return CertificatesReply(
        device_certificate=record.certificate,
        signer_certificate=documents.signer_certificate,
        root_certificate=documents.root_certificate,
        device_definition=documents.device_definition,
        signer_definition=documents.signer_definition,
        device_compressed=record.compressed,
        signer_compressed=documents.signer_compressed,
        writes=(
            *(SlotWrite(write.slot, write.offset, write.data) for write in device_writes),
            *documents.signer_writes,
        ),
        challenge=challenge,
    )
