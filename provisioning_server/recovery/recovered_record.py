"""Make the record of a certificate that was found again. Only what its signer has signed is believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from atcaprov.certs.compress import compress
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.issued_record import IssuedRecord, Origin
from atcaprov.certs.rebuild import stored_unit, unit_of_certificate
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import CertificateError, UsageError
from provisioning_server.folder_import.record_check import check_record
from provisioning_server.ledger.changes import Issued
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.recovery.found_files import FoundCertificate


@dataclass(frozen=True, slots=True)
class KnownSigner:
    """A signer as earlier records name it: serial number (9 bytes) and name; `documents` are those of its newest."""

    serial: bytes
    name: str
    documents: SignerDocuments


class RecoveredRecords:
    """Makes records with the signers of a ledger, those that have issued before, and others that are named."""

    def __init__(self, ledger: SqlLedger, named: Sequence[KnownSigner] = ()) -> None:
        self._documents = {each.document_id: each for each in ledger.known_documents()}
        self._signers = [*_signers(ledger, self._documents), *named]
        self._documents.update((signer.documents.document_id, signer.documents) for signer in named)

    def documents(self, records: Iterable[IssuedRecord]) -> list[SignerDocuments]:
        """Return the signer documents that records name, each once."""
        return [self._documents[name] for name in sorted({record.documents for record in records})]

    def of(self, found: FoundCertificate) -> IssuedRecord:
        """Return the record of a certificate, verified under its signer.

        Raises:
            UsageError: it is of none of the signers, or does not verify.
        """
        record = found.record or self._made(found)
        documents = self._documents.get(record.documents)
        if documents is None:
            raise _unknown_signer(found)
        check_record(record, documents, found.place)
        return record

    def _made(self, found: FoundCertificate) -> IssuedRecord:
        """Return a record with what the certificate itself tells; its time is on the full hour, its client unknown."""
        for signer in self._signers:
            documents = signer.documents
            unit = unit_of_certificate(documents.device, found.certificate)
            try:
                compressed = compress(
                    documents.device,
                    found.certificate,
                    ca_public_key=documents.signer_public_key,
                    chip_serial=found.chip_serial,
                    stored=stored_unit(documents.device, unit),
                )
                fields, layout = CompressedCertificate.parse(compressed), certificate_layout(found.certificate)
            except CertificateError:
                continue
            return IssuedRecord(
                time=fields.issue_date,
                chip_serial=found.chip_serial,
                signer_serial=signer.serial,
                signer_name=signer.name,
                signer_id=fields.signer_id,
                certificate_serial=layout.serial_number.of(found.certificate),
                public_key=layout.public_key.of(found.certificate),
                compressed=compressed,
                documents=documents.document_id,
                certificate=found.certificate,
                origin=Origin(unit=unit),
            )
        raise _unknown_signer(found)


def _signers(ledger: SqlLedger, documents: dict[str, SignerDocuments]) -> Sequence[KnownSigner]:
    found = []
    for summary in ledger.by_signer():
        (entry,) = ledger.entries(summary.newest, 1)
        event = decode(entry.body.decode("ascii"))
        assert isinstance(event, Issued)  # by_signer has read it
        found.append(KnownSigner(summary.signer_serial, summary.signer_name, documents[event.record.documents]))
    return found


def _unknown_signer(found: FoundCertificate) -> UsageError:
    return UsageError(f"{found.place} is of a signer that has issued nothing in this ledger, nor is named.")
