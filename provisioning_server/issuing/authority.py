"""Issues certificates. Knows no sockets: requests in, replies out, a batch at a time.

The order is: decide, sign, check the certificate, write all records of the batch durably, and only then reply.

Slow signers sign in threads of their own: their requests get a `PendingReply`, and what they have signed comes back as
an item of a later batch. Further requests for a chip wait while something is being signed for it, and are decided then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from atcaprov.certs.issued_record import IssuedRecord
from atcaprov.chip.memory_map import REVISION, serial_number
from atcaprov.chip.parts import REVISION_SIZE
from atcaprov.errors import AtcaProvError, Code
from atcaprov.log import Log
from atcaprov.wire.messages import CertificatesRequest, ErrorReply, ReportRequest, SignerReply, SignerRequest
from provisioning_server import rejections
from provisioning_server.issuing.in_progress import Batch, PendingReplies
from provisioning_server.issuing.issuance import certificates_reply, issue
from provisioning_server.issuing.request_rules import RequestRules, check_locked_chip
from provisioning_server.issuing.requests import ClientRequest, Item, PendingReply, Reply
from provisioning_server.issuing.server_clock import ServerClock
from provisioning_server.issuing.signing_queue import Signed, SigningJob
from provisioning_server.log_names import by_text, device_text, label
from provisioning_server.records.store import Records
from provisioning_server.rejections import rejection
from provisioning_server.signers.registry import SignerRegistry

_Outcome = SignerReply | ErrorReply | IssuedRecord | PendingReply


class SlowSigners(Protocol):
    """Takes jobs for slow signers."""

    def put(self, job: SigningJob) -> None:
        """Queue a job; its outcome comes back as `Signed`."""


class Authority:
    """Issues certificates with the signers of a registry and keeps records of them. Used by one thread at a time."""

    def __init__(
        self,
        signers: SignerRegistry,
        records: Records,
        log: Log,
        clock: Callable[[], datetime],
        *,
        slow_signers: SlowSigners | None = None,
        allow_rekey: bool = False,
        zones: Sequence[bytes] = (),
    ) -> None:
        """`zones` are the configuration zones (128 bytes) of the products, if only these are served."""
        self._signers = signers
        self._records = records
        self._log = log
        self._clock = ServerClock(clock, lambda: records.newest)
        self._slow_signers = slow_signers
        self._rules = RequestRules(signers, records, self._clock, log, allow_rekey=allow_rekey, zones=zones)
        for documents in records.known_documents():
            signers.remember(documents)
        self._pending = PendingReplies()

    def answer(self, items: Sequence[Item]) -> list[Reply | PendingReply | None]:
        """Answer a batch, in its order. No item raises: each request gets its reply or a `PendingReply`.

        A job of a slow signer gets None; its `PendingReply` has its reply when this returns.
        """
        batch = Batch()
        settled: list[tuple[PendingReply, _Outcome]] = []
        outcomes: list[_Outcome | None] = []
        for item in items:
            if isinstance(item, Signed):
                settled += self._settle(item, batch)
                outcomes.append(None)
            else:
                outcomes.append(self._outcome(item, batch))
        failure = self._record(batch)
        for pending, outcome in settled:
            pending.reply = self._reply(outcome, batch, failure)
        return [
            outcome if outcome is None or isinstance(outcome, PendingReply) else self._reply(outcome, batch, failure)
            for outcome in outcomes
        ]

    def _outcome(self, asked: ClientRequest, batch: Batch, pending: PendingReply | None = None) -> _Outcome:
        request = asked.request
        try:
            if isinstance(request, SignerRequest):
                outcome: _Outcome = self._rules.offer(request)
            elif isinstance(request, ReportRequest):
                outcome = rejections.CHALLENGE_UNKNOWN
            else:
                outcome = self._certify(request, asked, batch, pending)
        except Exception as error:  # a signer may raise anything; the other requests of the batch get their answers
            return self._failed(error)
        if isinstance(outcome, ErrorReply):
            self._log_rejection(asked, outcome)
        return outcome

    def _log_rejection(self, asked: ClientRequest, refused: ErrorReply) -> None:
        request = asked.request
        if isinstance(request, CertificatesRequest):
            what = device_text(serial_number(request.config_zone))
        else:
            what = (
                f"Report of {device_text(request.chip_serial)}"
                if isinstance(request, ReportRequest)
                else "Signer request"
            )
        self._log.info(f"{what} refused, {refused.code}{by_text(asked.client)}: {refused.message}")

    def _settle(self, signed: Signed, batch: Batch) -> list[tuple[PendingReply, _Outcome]]:
        """Take the result of a slow signer, and decide on the requests that waited behind it."""
        chip_serial = signed.job.chip_serial
        first, behind = self._pending.pop(chip_serial)
        settled: list[tuple[PendingReply, _Outcome]] = []
        if isinstance(signed.outcome, ErrorReply):
            self._log_rejection(first.asked, signed.outcome)
            settled.append((first, signed.outcome))
        else:
            record = _as_asked(signed.outcome, first.asked, first.request)
            settled.append((first, self._keep(signed, record, first.asked, batch)))
        for pending in behind:
            outcome = self._outcome(pending.asked, batch, pending)
            if outcome is not pending:
                settled.append((pending, outcome))
        return settled

    def _keep(self, signed: Signed, record: IssuedRecord, asked: ClientRequest, batch: Batch) -> _Outcome:
        assert signed.documents is not None
        doubt = self._clock.doubt(signed.documents)
        if doubt is not None:  # of another one of the group than was looked at before, or the clock was set meanwhile
            self._log_rejection(asked, doubt)
            return doubt
        try:
            self._records.keep_documents(signed.documents)
        except AtcaProvError as error:
            return self._failed(error)
        batch.add(record)
        return record

    def _failed(self, error: Exception) -> ErrorReply:
        self._log.error(f"A request failed: {error if isinstance(error, AtcaProvError) else repr(error)}")
        if isinstance(error, AtcaProvError) and error.code == Code.RECORDS_FAILED:
            return rejection(error)
        return rejections.INTERNAL

    def _certify(
        self, request: CertificatesRequest, asked: ClientRequest, batch: Batch, pending: PendingReply | None
    ) -> ErrorReply | IssuedRecord | PendingReply:
        """Return the record to reply with, old or new, or the rejection, or a `PendingReply` until it is known."""
        chip_serial = serial_number(request.config_zone)
        refused = check_locked_chip(request, chip_serial)
        if refused is not None:
            return refused
        if chip_serial in self._pending:
            return self._wait(chip_serial, pending or PendingReply(asked, request))
        decision = self._rules.decide(request, chip_serial, batch, self._pending)
        if isinstance(decision, IssuedRecord):
            self._log.info(f"{device_text(chip_serial)} gets its stored certificates again{by_text(asked.client)}.")
        if not isinstance(decision, list):
            return decision
        self._keep_named(request)
        quick = next((signer for signer in decision if not signer.slow), None)
        if quick is None:
            return self._sign_later(request, chip_serial, pending or PendingReply(asked, request))
        self._records.keep_documents(quick.documents)
        record = _as_asked(issue(quick, request.public_key, chip_serial, self._clock.now()), asked, request)
        batch.add(record)
        return record

    def _wait(self, chip_serial: bytes, pending: PendingReply) -> PendingReply:
        self._pending.add(chip_serial, pending)
        return pending

    def _keep_named(self, request: CertificatesRequest) -> None:
        """Keep the documents of the signer that a client names: another one of its group may sign.

        So its group is known after a restart, too.
        """
        named = self._signers.documents_of(request.signer_public_key)
        if request.any_of_group and named is not None:
            self._records.keep_documents(named)

    def _sign_later(self, request: CertificatesRequest, chip_serial: bytes, pending: PendingReply) -> PendingReply:
        assert self._slow_signers is not None, "a slow signer without its thread"
        self._wait(chip_serial, pending)
        self._slow_signers.put(SigningJob(request, chip_serial, self._rules.group(request)))
        return pending

    def _record(self, batch: Batch) -> ErrorReply | None:
        """Write what the batch issued; return the reply for its requests if that failed."""
        new = batch.records
        if not new:
            return None
        try:
            self._records.append(new)
        except AtcaProvError as error:
            self._log.error(str(error))
            return rejection(error)
        for record in new:
            signer = label(record.signer_serial, record.signer_name)
            self._log.info(f"{device_text(record.chip_serial)} certified by {signer}{by_text(record.client)}.")
        return None

    def _reply(self, outcome: _Outcome, batch: Batch, failure: ErrorReply | None) -> Reply:
        assert not isinstance(outcome, PendingReply)
        if not isinstance(outcome, IssuedRecord):
            return outcome
        if failure is not None and outcome in batch.find(outcome.chip_serial):
            return failure
        return certificates_reply(outcome, self._records.documents(outcome.documents))


def _as_asked(record: IssuedRecord, asked: ClientRequest, request: CertificatesRequest) -> IssuedRecord:
    """Add to a record who asked for it, and the part that the chip reports."""
    revision = request.revision.to_bytes(REVISION_SIZE, "big") if request.revision else b""
    return replace(record, client=asked.client, revision=revision, config_revision=request.config_zone[REVISION])
