"""What becomes of a client's report: it is recorded, was recorded before, or is rejected. Nothing is written here.

A certificate is issued, then proven: once a report with the chip's signature is recorded it stays proven, whatever
later reports say. Each challenge has one report: the same one again is acknowledged again, another one is rejected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from atcaprov.certs.possession_proof import is_possession_proof
from atcaprov.wire.messages import CHECKPOINT_SIZE_MAX, ErrorReply, ReportReply, ReportRequest
from provisioning_server import rejections
from provisioning_server.issuing.requests import ClientRequest
from provisioning_server.ledger.changes import Reported, StageOutcome
from provisioning_server.ledger.store import Known, Ledger, StoredCertificate


@dataclass(frozen=True, slots=True)
class AcceptedReport:
    """A report that is in the ledger, or will be when the batch is; `proven` is the state of its certificate then."""

    reported: Reported
    proven: bool
    is_new: bool


class BatchReports:
    """The new reports of a batch, before they are written."""

    def __init__(self) -> None:
        self._of_challenge: dict[bytes, Reported] = {}
        self._proven: set[int] = set()

    @property
    def events(self) -> list[Reported]:
        """The reports to write, in their order."""
        return list(self._of_challenge.values())

    def add(self, reported: Reported) -> None:
        """Add a report that has passed all rules."""
        self._of_challenge[reported.challenge] = reported
        if reported.proven:
            self._proven.add(reported.certificate_index)

    def find(self, challenge: bytes) -> Reported | None:
        """Return the report with a challenge."""
        return self._of_challenge.get(challenge)

    def prove(self, certificate_index: int) -> bool:
        """Return whether one of them proves a certificate."""
        return certificate_index in self._proven


class ReportRules:
    """Decides on reports by the ledger."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime]) -> None:
        """`now` returns the time in UTC."""
        self._ledger = ledger
        self._now = now

    def decide(
        self, request: ReportRequest, asked: ClientRequest, known: Known, batch: BatchReports
    ) -> AcceptedReport | ErrorReply:
        """Return the report, added to `batch` if it is new, or the rejection.

        `known` has looked up the chips of the batch. The signature of a new report is verified here, once.
        """
        if self._ledger.failed:
            return rejections.RECORDS_FAILED
        stored = self._challenged(request, known)
        if stored is None:
            return rejections.CHALLENGE_UNKNOWN
        if hashlib.sha256(stored.record.certificate).digest() != request.certificate_sha256:
            return rejections.REPORT_MISMATCH
        reported = self._as_reported(request, stored, asked)
        earlier = self._earlier(request, stored, batch)
        if earlier is None:
            if request.signature and not _is_proof(request, stored):
                return rejections.PROOF_INVALID
            batch.add(reported)
        elif not _is_same(earlier, reported):
            return rejections.REPORT_DIFFERS
        proven = stored.proven is not None or reported.proven or batch.prove(stored.index)
        return AcceptedReport(earlier or reported, proven, is_new=earlier is None)

    def _challenged(self, request: ReportRequest, known: Known) -> StoredCertificate | None:
        """Return the certificate that came with the challenge; one that was sent again is looked up in the ledger."""
        for stored in known.of_chip(request.chip_serial):
            if stored.challenge == request.challenge:
                return stored
        return self._ledger.challenged(request.chip_serial, request.challenge)

    def _earlier(self, request: ReportRequest, stored: StoredCertificate, batch: BatchReports) -> Reported | None:
        in_batch = batch.find(request.challenge)
        if in_batch is not None or not stored.fate:  # a certificate without a fate has no report in the ledger
            return in_batch
        return self._ledger.reported(request.chip_serial, request.challenge)

    def _as_reported(self, request: ReportRequest, stored: StoredCertificate, asked: ClientRequest) -> Reported:
        return Reported(
            certificate_index=stored.index,
            chip_serial=request.chip_serial,
            challenge=request.challenge,
            signature=request.signature,
            contents=request.contents_sha256,
            fate=request.fate,
            code=request.code,
            stages=tuple(StageOutcome(each.stage, each.outcome, each.milliseconds) for each in request.stages),
            finished=datetime.fromtimestamp(request.finished, UTC),
            received=self._now().replace(microsecond=0),
            client=asked.client,
            station=asked.station,
            request_id=request.request_id,
        )


def report_reply(accepted: AcceptedReport, checkpoint: bytes) -> ReportReply:
    """Return the reply to a report that is durably recorded; `checkpoint` is a signed note that covers it, or empty."""
    return ReportReply(accepted.proven, checkpoint if len(checkpoint) <= CHECKPOINT_SIZE_MAX else b"")


def _is_proof(request: ReportRequest, stored: StoredCertificate) -> bool:
    return bool(request.contents_sha256) and is_possession_proof(
        stored.record.public_key,
        request.signature,
        request.challenge,
        request.certificate_sha256,
        request.contents_sha256,
    )


def _is_same(earlier: Reported, reported: Reported) -> bool:
    """Tell whether two reports are one; it may have come from another address, and at another time."""
    return reported.sent == earlier.sent
