"""Check a birth record by itself: no ledger, no server, no network."""

from __future__ import annotations

from atcaprov.errors import Code, UsageError
from atcaprov.transparency.merkle import leaf_hash
from atcaprov.transparency.verifier_keys import VerifierKey, timestamp_of
from provisioning_server.audit.birth_record import BirthRecord
from provisioning_server.audit.entry_check import EntryCheck
from provisioning_server.audit.findings import AuditReport
from provisioning_server.audit.verify_log import AuditOrder
from provisioning_server.ledger.administration import Revoked
from provisioning_server.ledger.changes import Event, Issued, Lost, Reported
from provisioning_server.records.signer_documents import SignerDocuments


def verify_birth_record(record: BirthRecord, order: AuditOrder) -> AuditReport:
    """Check every proof, certificate and signature of a birth record.

    Without a key in `order`, that of the record itself is used: then it shows only that the record is consistent.
    """
    report = AuditReport()
    key = order.key or record.log_key
    bodies = {event.proof.index: event.entry for event in record.events}
    entries = EntryCheck(report, lambda name: _documents(record, name), lambda index: _entry(bodies, index))
    if len(bodies) != len(record.events):
        report.find("entry-twice", "The record has two entries with one index.")
    for event in record.events:
        _check_logged(record, event.proof.index, key, order, report)
        _check_about(record, event.proof.index, entries.take(event.proof.index, event.entry), report)
    _tell(record, report)
    return report


def _check_logged(record: BirthRecord, index: int, key: VerifierKey, order: AuditOrder, report: AuditReport) -> None:
    """Check that an entry is in the log, whose checkpoint must be signed by the log and cosigned by witnesses."""
    event = next(each for each in record.events if each.proof.index == index)
    witnesses = order.witnesses or record.witness_keys
    try:
        event.proof.verify_leaf(leaf_hash(event.entry))
        found = event.proof.checkpoint.verify(key, witnesses)
    except UsageError as error:
        report.find("proof-of-log-invalid", error.what, index)
        return
    for witness in witnesses:
        if witness not in found:
            report.find("cosignature-missing", f"The checkpoint has no cosignature of {witness.name}.", index)
    head = event.proof.checkpoint.checkpoint
    line = f"The entries are in the log {head.origin} of {head.size} entries, signed by {key}."
    lines = [line, *(f"Cosigned by {one.name} at {timestamp_of(found[one].signature)}." for one in found)]
    report.checked += [each for each in lines if each not in report.checked]


def _check_about(record: BirthRecord, index: int, event: Event | None, report: AuditReport) -> None:
    if event is None:
        return
    chip = event.record.chip_serial if isinstance(event, Issued) else None
    if isinstance(event, Reported | Revoked):
        chip = event.chip_serial
    if isinstance(event, Lost):
        chip = event.intent.chip_serial
    if chip != record.chip_serial:
        report.find("entry-of-other-chip", "The entry is not about the chip of this record.", index)


def _documents(record: BirthRecord, name: str) -> SignerDocuments:
    if name not in record.documents:
        raise UsageError("They are not in the record.", code=Code.LOG_INVALID)
    return record.documents[name]


def _entry(bodies: dict[int, bytes], index: int) -> bytes:
    if index not in bodies:
        raise UsageError("It is not in the record.", code=Code.LOG_INVALID)
    return bodies[index]


def _tell(record: BirthRecord, report: AuditReport) -> None:
    counts, chip = report.counts, record.chip_serial.hex().upper()
    if not counts["certificates"]:
        report.find("certificate-missing", "The record has no certificate.")
    report.checked += [
        f"Certificates of chip {chip}: {counts['certificates']}, each signed, with its chain to the root.",
        f"Proofs that the chip has the key of its certificate: {counts['proofs of possession']}.",
    ]
    if counts["revocations"]:
        report.remarks.append(f"Certificates of the chip that were revoked: {counts['revocations']}.")
    if not counts["proofs of possession"]:
        report.remarks.append("The chip has not proven that it has the key of its certificate.")
