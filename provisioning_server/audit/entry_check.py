"""Check what the entries of a log say: certificates, proofs of possession, and what operators accepted."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from atcaprov.certs.chain import verify_chain, verify_issuer
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.certs.keys import DIGEST_SIZE, verify_digest
from atcaprov.certs.possession_proof import is_possession_proof
from atcaprov.certs.rebuild import rebuild, stored_unit, to_be_signed
from atcaprov.certs.x509_layout import authority_layout
from atcaprov.errors import AtcaProvError, CertificateError, UsageError
from provisioning_server.audit.findings import SHOWN, AuditReport
from provisioning_server.audit.revocation_check import RevocationCheck
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
    CertificatesRecovered,
    ClockAccepted,
    CounterSeen,
    Event,
    FolderImported,
    Issued,
    LossesSettled,
    Lost,
    Reported,
    RollbackAccepted,
)
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.records.signer_documents import SignerDocuments

ReadEntry = Callable[[int], bytes]
ReadDocuments = Callable[[str], SignerDocuments]


class EntryCheck:
    """Checks one entry after the other. Its memory grows with the signers, not with the entries."""

    def __init__(self, report: AuditReport, documents: ReadDocuments, entry: ReadEntry) -> None:
        """`documents` and `entry` read further parts of the same log; both raise UsageError."""
        self._report = report
        self._read_documents = documents
        self._read_entry = entry
        self._documents: dict[str, SignerDocuments | None] = {}
        self._revocations = RevocationCheck(report, self._certificate_at)
        self._chains: set[str] = set()
        """Ids of documents with which a whole chain was checked; further certificates differ in what is compared."""

    def take(self, index: int, body: bytes) -> Event | None:
        """Check an entry and return what it says; None if it cannot be read."""
        try:
            event = decode(body.decode("ascii"))
        except ValueError:
            self._report.find("entry-malformed", "The entry is not one that a server writes.", index)
            return None
        name, check = _CHECKS[type(event)]
        self._report.counts[name] += 1
        check(self, index, event)
        return event

    def _issued(self, index: int, issued: Issued) -> None:
        record = issued.record
        documents = self._documents_of(record.documents, index)
        if documents is None:
            return
        self._revocations.know(record.signer_serial, documents.signer_public_key, documents.signer_certificate)
        try:
            if record.documents not in self._chains:
                self._chains.add(record.documents)
                check_chain(record, documents)
            check_certificate(record, documents)
        except AtcaProvError as error:
            self._report.find("certificate-invalid", error.what, index)

    def _documents_of(self, document_id: str, index: int) -> SignerDocuments | None:
        """Return the documents of a certificate, checked once: their id, and the chain up to the root in them."""
        if document_id not in self._documents:
            self._documents[document_id] = None
            try:
                documents = self._read_documents(document_id)
                check_documents(documents, document_id)
            except AtcaProvError as error:
                self._report.find("documents-invalid", f"The signer documents {document_id}: {error.what}", index)
            else:
                self._documents[document_id] = documents
                self._report.counts["signer documents"] += 1
        return self._documents[document_id]

    def _lost(self, _index: int, lost: Lost) -> None:
        if lost.signed is None:
            self._report.counts["lost certificates that may be signed"] += 1

    def _reported(self, index: int, reported: Reported) -> None:
        issued = self._certificate_of(index, reported)
        if issued is None:
            return
        if issued.record.chip_serial != reported.chip_serial:
            self._report.find("report-of-other-chip", "The report names the certificate of another chip.", index)
            return
        if not reported.proven:
            self._report.counts["reports without a proof"] += 1
        elif is_proof(issued.record, reported):
            self._report.counts["proofs of possession"] += 1
            if issued.challenge != reported.challenge:
                self._report.counts["proofs for a later challenge"] += 1
        else:
            self._report.find("proof-invalid", "The proof that the chip has its key is wrong.", index)

    def _certificate_of(self, index: int, reported: Reported) -> Issued | None:
        """Return the certificate that a report is about, which must stand before it."""
        found = self._certificate_at(index, reported.certificate_index)
        if found is None:
            self._report.find("report-without-certificate", "The report is about no earlier certificate.", index)
        return found

    def _certificate_at(self, before: int, index: int) -> Issued | None:
        """Return the certificate of an entry that stands before another one; None if none stands there."""
        try:
            if not 0 <= index < before:
                raise ValueError
            event = decode(self._read_entry(index).decode("ascii"))
        except (ValueError, UsageError):
            return None
        return event if isinstance(event, Issued) else None

    def _revoked(self, index: int, revoked: Revoked) -> None:
        self._revocations.take_revoked(index, revoked)

    def _crl(self, index: int, issued: CrlIssued) -> None:
        self._revocations.take_list(index, issued)

    def _clock(self, index: int, accepted: ClockAccepted) -> None:
        self._remark(index, "a clock that was behind the records was accepted", accepted.reason)

    def _rollback(self, index: int, accepted: RollbackAccepted) -> None:
        lost = f"signatures without an entry: {accepted.missing}" if accepted.signer_serial else "a checkpoint"
        self._remark(index, f"a ledger that was behind ({lost}) was accepted", accepted.reason)

    def _recovered(self, index: int, recovered: CertificatesRecovered) -> None:
        self._remark(
            index, f"certificates before it that were lost and found again: {recovered.count}", recovered.reason
        )

    def _remark(self, index: int, what: str, reason: str) -> None:
        if len(self._report.remarks) < SHOWN:
            self._report.remarks.append(f"Entry {index}: {what}. Reason: {reason}")

    def _nothing(self, _index: int, _event: Event) -> None:
        """Other entries are checked by what is compared with them: `audit reconcile`."""


_CHECKS: Final[dict[type[Event], tuple[str, Any]]] = {
    Issued: ("certificates", EntryCheck._issued),
    Lost: ("lost certificates", EntryCheck._lost),
    Reported: ("reports", EntryCheck._reported),
    ClockAccepted: ("accepted clocks", EntryCheck._clock),
    RollbackAccepted: ("accepted rollbacks", EntryCheck._rollback),
    LossesSettled: ("settled losses", EntryCheck._nothing),
    CounterSeen: ("counters first seen", EntryCheck._nothing),
    FolderImported: ("imported folders", EntryCheck._nothing),
    CertificatesRecovered: ("recoveries", EntryCheck._recovered),
    StationInvited: ("invited stations", EntryCheck._nothing),
    StationAdmitted: ("admitted stations", EntryCheck._nothing),
    StationRemoved: ("removed stations", EntryCheck._nothing),
    OrderOpened: ("opened orders", EntryCheck._nothing),
    OrderClosed: ("closed orders", EntryCheck._nothing),
    Revoked: ("revocations", EntryCheck._revoked),
    CrlIssued: ("revocation lists", EntryCheck._crl),
}


def check_documents(documents: SignerDocuments, document_id: str) -> None:
    """Check that documents have their id, and that the signer's certificate is for its key and under the root.

    Raises UsageError or CertificateError.
    """
    if documents.document_id != document_id:
        raise UsageError("They have another SHA-256 than their name says.")
    root_key = verify_issuer(documents.root_certificate)
    signer = authority_layout(documents.signer_certificate)
    if signer.public_key.of(documents.signer_certificate) != documents.signer_public_key:
        raise CertificateError("The signer's certificate is for another key.")
    if not root_key:
        raise CertificateError("The root has no key.")


def check_chain(record: IssuedRecord, documents: SignerDocuments) -> None:
    """Check the chain of a certificate to the root in the documents; raises CertificateError."""
    root = authority_layout(documents.root_certificate)
    root_id = root.subject_key_id.of(documents.root_certificate) if root.subject_key_id else None
    verify_chain(
        record.certificate,
        documents.signer_certificate,
        root.public_key.of(documents.root_certificate),
        device_public_key=record.public_key,
        root_key_id=root_id,
    )


def check_certificate(record: IssuedRecord, documents: SignerDocuments) -> None:
    """Check that a certificate is the one of its 72 bytes, for this key and chip, and signed by the documents' signer.

    Raises CertificateError.
    """
    rebuilt = rebuild(
        documents.device,
        compressed=record.compressed,
        public_key=record.public_key,
        ca_public_key=documents.signer_public_key,
        chip_serial=record.chip_serial,
        stored=stored_unit(documents.device, record.origin.unit if documents.device.unit else ""),
    )
    if rebuilt != record.certificate:
        raise CertificateError("The certificate is not the one of its compressed form, key and chip.")
    compressed = CompressedCertificate.parse(record.compressed)
    serial = documents.device.layout.serial_number.of(record.certificate)
    if (compressed.signer_id, serial) != (record.signer_id, record.certificate_serial):
        raise CertificateError("The certificate has another serial number or signer id than its entry.")
    digest = hashlib.sha256(to_be_signed(record.certificate, documents.device)).digest()
    if not verify_digest(documents.signer_public_key, digest, compressed.signature):
        raise CertificateError("The certificate is not signed by its signer.")


def is_proof(record: IssuedRecord, reported: Reported) -> bool:
    """Tell whether a report proves that the chip has the key of its certificate."""
    if len(reported.challenge) != DIGEST_SIZE or len(reported.contents) != DIGEST_SIZE:
        return False  # what is signed has no lengths in it
    digest = hashlib.sha256(record.certificate).digest()
    try:
        return is_possession_proof(record.public_key, reported.signature, reported.challenge, digest, reported.contents)
    except CertificateError:
        return False
