"""Whether a record of an older version is what a server wrote: sizes, names, and the certificate itself."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Final

from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.certs.keys import verify_digest
from atcaprov.certs.rebuild import rebuild, stored_unit, to_be_signed
from atcaprov.certs.x509_layout import authority_layout
from atcaprov.errors import AtcaProvError, CertificateError, Code, UsageError
from provisioning_server.records.signer_documents import SignerDocuments

_SIZES: Final = (("chip_serial", 9), ("signer_serial", 9), ("signer_id", 2), ("public_key", 64), ("compressed", 72))
_OPTIONAL: Final = (("revision", 4), ("config_revision", 4))


def check_record(record: IssuedRecord, documents: SignerDocuments, place: str) -> None:
    """Return when the certificate of a record is the one that its compressed form gives, signed by its signer.

    Raises:
        UsageError: FILE_INVALID, which begins with `place`, such as `Line 7 of the signing log signing-1.tsv`.
    """
    try:
        reason = _wrong_column(record) or _wrong_certificate(record, documents)
    except CertificateError as error:
        reason = error.what[0].lower() + error.what[1:].rstrip(".")
    if reason is not None:
        raise UsageError(
            f"{place} does not verify: {reason}.",
            advice="The file was edited or damaged. Restore it from a backup; nothing was imported.",
            code=Code.FILE_INVALID,
        )


def check_documents(documents: SignerDocuments, path: Path) -> None:
    """Raise UsageError FILE_INVALID unless replies can be made of signer documents, and key and certificate fit."""
    try:
        documents.check()
        key = authority_layout(documents.signer_certificate).public_key.of(documents.signer_certificate)
    except AtcaProvError as error:
        raise _unusable(path, error.what) from error
    if key != documents.signer_public_key:
        raise _unusable(path, "The signer certificate is for another key.")


def _wrong_column(record: IssuedRecord) -> str | None:
    if record.time.utcoffset() != timedelta(0):
        return "its time is not in UTC"
    sizes = [(name, size) for name, size in _SIZES]
    sizes += [(name, size) for name, size in _OPTIONAL if getattr(record, name)]
    for name, size in sizes:
        found = len(getattr(record, name))
        if found != size:
            return f"{name} has {found} bytes, not {size}"
    return None


def _wrong_certificate(record: IssuedRecord, documents: SignerDocuments) -> str | None:
    """Return why it is not the certificate of its chip, key and signer; raises CertificateError for the same."""
    device = documents.device
    fields = CompressedCertificate.parse(record.compressed)
    certificate = rebuild(
        device,
        compressed=record.compressed,
        public_key=record.public_key,
        ca_public_key=documents.signer_public_key,
        chip_serial=record.chip_serial,
        stored=stored_unit(device, record.origin.unit if device.unit else ""),
    )
    if certificate != record.certificate:
        return "the compressed form, chip and key give another certificate"
    if fields.signer_id != record.signer_id:
        return "the certificate has another signer id"
    if device.layout.serial_number.of(certificate) != record.certificate_serial:
        return "the certificate has another serial number"
    digest = hashlib.sha256(to_be_signed(certificate, device)).digest()
    if not verify_digest(documents.signer_public_key, digest, fields.signature):
        return "the signature of the certificate does not verify under its signer's key"
    return None


def _unusable(path: Path, what: str) -> UsageError:
    return UsageError(
        f"The signer documents {path} cannot be used: {what}", advice="Restore the file.", code=Code.FILE_INVALID
    )
