"""Bring certificates and reports that were found again into a ledger that lacks them.

A certificate that the ledger has is left as it is; a chip that has got another one since keeps that. Reports are
recorded by the rules of new ones. A report may answer a challenge that the ledger has lost: it is believed if the
signature of the chip over it verifies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.certs.possession_proof import is_possession_proof
from atcaprov.errors import UsageError
from atcaprov.wire.messages import ErrorReply, ReportRequest
from provisioning_server.issuing.report_rules import BatchReports, ReportRules
from provisioning_server.issuing.requests import ClientRequest
from provisioning_server.ledger.changes import CertificatesRecovered, Changes, GivenChallenge, Issued
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import Known, StoredCertificate
from provisioning_server.recovery.found_files import FoundCertificate, FoundFiles
from provisioning_server.recovery.recovered_record import KnownSigner, RecoveredRecords

STEP: Final = 500
"""Certificates in one commit."""


@dataclass(slots=True)
class Recovery:
    """What was brought into the ledger, how many certificates it had already, and why others were not."""

    certificates: int = 0
    known: int = 0
    reports: int = 0
    refused: list[str] = field(default_factory=list)


class Recoverer:
    """Works on a ledger that no server has open."""

    def __init__(self, ledger: SqlLedger, reason: str, now: datetime, named: Sequence[KnownSigner] = ()) -> None:
        """`named` are signers that the ledger may lack."""
        self._ledger = ledger
        self._reason = reason
        self._now = now.replace(microsecond=0)
        self._records = RecoveredRecords(ledger, named)
        self._rules = ReportRules(ledger, lambda: now)
        self._done = Recovery()

    def recover(self, files: FoundFiles) -> Recovery:
        """Write what the ledger lacks, in steps that are each whole; a run that was cut can be repeated.

        Raises:
            AtcaProvError: RECORDS_FAILED.
        """
        self._done = Recovery(known=files.known, refused=list(files.unreadable))
        found = sorted(files.certificates.values(), key=_in_order)
        for start in range(0, len(found), STEP):
            batch = found[start : start + STEP]
            self._write_certificates(batch)
            self._write_reports(batch)
        return self._done

    def _write_certificates(self, batch: Sequence[FoundCertificate]) -> None:
        known = self._known(batch)
        made = [(found, self._made(found)) for found in batch if _stored(found, known) is None]
        self._done.known += len(batch) - len(made)
        known = self._known(batch, [record for _, record in made if record is not None])
        events: list[Issued] = []
        for found, record in made:
            if record is not None:
                try:
                    _require_no_other(record, known, events, found.place)
                except UsageError as error:
                    self._done.refused.append(error.what)
                else:
                    events.append(Issued(record, _first_challenge(found)))
        if events:
            recovered = CertificatesRecovered(self._now, self._reason, len(events))
            documents = self._records.documents(event.record for event in events)
            self._ledger.commit(Changes(documents=documents, events=[*events, recovered]))
            self._done.certificates += len(events)

    def _made(self, found: FoundCertificate) -> IssuedRecord | None:
        try:
            return self._records.of(found)
        except UsageError as error:
            self._done.refused.append(error.what)
            return None

    def _write_reports(self, batch: Sequence[FoundCertificate]) -> None:
        known = self._known(batch)
        answers = [
            (stored, report, place)
            for found in batch
            if (stored := _stored(found, known)) is not None
            for report, place in found.reports.items()
        ]
        self._keep_challenges([(stored, report) for stored, report, _ in answers])
        reports = BatchReports()
        for _, report, place in answers:
            decided = self._rules.decide(report, ClientRequest(report), known, reports)
            if isinstance(decided, ErrorReply):
                self._done.refused.append(f"{place}: {decided.message}")
        if reports.events:
            self._ledger.commit(Changes(events=list(reports.events)))
            self._done.reports += len(reports.events)

    def _keep_challenges(self, answers: Sequence[tuple[StoredCertificate, ReportRequest]]) -> None:
        """Keep the challenges that the ledger has lost, if the chip's answer shows that its key has seen them.

        One that was given for another certificate is not lost.
        """
        given = self._ledger.given_challenges([report.challenge for _, report in answers])
        lost = {
            report.challenge: GivenChallenge(report.challenge, stored.index, self._now)
            for stored, report in answers
            if report.challenge not in given
            and self._ledger.challenged(report.chip_serial, report.challenge) is None
            and _proves(stored, report)
        }
        if lost:
            self._ledger.commit(Changes(challenges=list(lost.values())))

    def _known(self, batch: Sequence[FoundCertificate], records: Sequence[IssuedRecord] = ()) -> Known:
        return self._ledger.known({found.chip_serial for found in batch}, {record.public_key for record in records})


def _stored(found: FoundCertificate, known: Known) -> StoredCertificate | None:
    """Return the certificate in the ledger that is the one that was found."""
    of_chip = known.of_chip(found.chip_serial)
    return next((each for each in of_chip if each.record.certificate == found.certificate), None)


def _require_no_other(record: IssuedRecord, known: Known, events: Sequence[Issued], place: str) -> None:
    """Raise UsageError if the ledger or a certificate found before says something else of the chip or the key."""
    of_chip = [each.record for each in known.of_chip(record.chip_serial)]
    of_chip += [each.record for each in events if each.record.chip_serial == record.chip_serial]
    chip = record.chip_serial.hex().upper()
    if any(each.public_key == record.public_key for each in of_chip):
        raise UsageError(f"{place}: the chip {chip} has another certificate for the same key.")
    if any(_hour(each) > _hour(record) for each in of_chip):
        raise UsageError(f"{place}: the chip {chip} has a newer certificate, for another key.")
    other = known.chip_of(record.public_key) or next(
        (each.record.chip_serial for each in events if each.record.public_key == record.public_key), None
    )
    if other not in (None, record.chip_serial):
        raise UsageError(f"{place}: its key has a certificate for another chip.")


def _hour(record: IssuedRecord) -> datetime:
    """Return the time of a record as far as a certificate alone tells it."""
    return record.time.replace(minute=0, second=0, microsecond=0)


def _in_order(found: FoundCertificate) -> tuple[bool, datetime, bytes]:
    """Sort those of signing logs by their time, and the others behind them: their time is in the certificate only."""
    if found.record is not None:
        return False, found.record.time, found.certificate
    return True, datetime.min, found.certificate


def _first_challenge(found: FoundCertificate) -> bytes:
    """Return the challenge that the certificate is recorded with: one that the chip has answered, if there is one."""
    reports = sorted(found.reports, key=lambda report: (not report.signature, report.finished))
    return reports[0].challenge if reports else b""


def _proves(stored: StoredCertificate, report: ReportRequest) -> bool:
    return bool(report.signature and report.contents_sha256) and is_possession_proof(
        stored.record.public_key,
        report.signature,
        report.challenge,
        report.certificate_sha256,
        report.contents_sha256,
    )
