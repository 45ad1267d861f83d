"""Decides on requests and issues certificates. Knows no sockets: requests in, replies out, a batch at a time.

The order is: decide, sign, prove the certificate, write all records of the batch durably, and only then reply. The
same chip, key and signer get the stored certificates again; nothing is signed twice.

Slow signers sign elsewhere: their requests get a `Later`, and what they have signed comes back as an item of a later
batch. Further requests for a chip wait while something is being signed for it, and are decided afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from atcaprov.chip.memory_map import LOCK_VALUE, REVISION, UNLOCKED, serial_number
from atcaprov.chip.parts import REVISION_SIZE
from atcaprov.errors import AtcaProvError, Code
from atcaprov.log import Log
from atcaprov.wire.messages import CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server import refusals
from provisioning_server.issuing.batch import Batch
from provisioning_server.issuing.issuance import certificates_reply, issue
from provisioning_server.issuing.request_rules import of_a_locked_chip, of_a_point, of_a_product
from provisioning_server.issuing.requests import Asked, Item, Later, Reply, Request, by_text, device_text
from provisioning_server.issuing.server_clock import ServerClock
from provisioning_server.issuing.signing_queue import Signed, SigningJob
from provisioning_server.records.signing_log import IssuedRecord
from provisioning_server.records.store import Records
from provisioning_server.refusals import moment, refusal
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer, label

_Outcome = SignerReply | ErrorReply | IssuedRecord | Later


class SlowSigners(Protocol):
    """Where jobs for slow signers go."""

    def put(self, job: SigningJob) -> None:
        """Have it signed; it comes back as `Signed`."""


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
        self._allow_rekey = allow_rekey
        self._zones = zones
        for documents in records.known_documents():
            signers.remember(documents)
        self._signing: dict[bytes, list[Later]] = {}  # by chip serial: the one that is being signed, then those behind

    def answer(self, items: Sequence[Item]) -> list[Reply | Later | None]:
        """Answer a batch, in its order. No item can raise: each request gets its reply, or a `Later`.

        What a slow signer has done gets None; the `Later` it was for has its reply when this returns.
        """
        batch = Batch()
        settled: list[tuple[Later, _Outcome]] = []
        outcomes: list[_Outcome | None] = []
        for item in items:
            if isinstance(item, Signed):
                settled += self._settle(item, batch)
                outcomes.append(None)
            else:
                outcomes.append(self._outcome(item, batch))
        failure = self._record(batch)
        for later, outcome in settled:
            later.reply = self._reply(outcome, batch, failure)
        return [
            outcome if outcome is None or isinstance(outcome, Later) else self._reply(outcome, batch, failure)
            for outcome in outcomes
        ]

    def _outcome(self, asked: Asked, batch: Batch, later: Later | None = None) -> _Outcome:
        request = asked.request
        try:
            if isinstance(request, SignerRequest):
                outcome: _Outcome = self._offer(request)
            else:
                outcome = self._decide(request, asked, batch, later)
        except Exception as error:  # whatever a signer raises, the other requests of the batch get their answers
            return self._failed(error)
        if isinstance(outcome, ErrorReply):
            self._log_refusal(asked, outcome)
        return outcome

    def _log_refusal(self, asked: Asked, refused: ErrorReply) -> None:
        request = asked.request
        certify = isinstance(request, CertificatesRequest)
        what = device_text(serial_number(request.config_zone)) if certify else "Signer request"
        self._log.info(f"{what} refused, {refused.code}{by_text(asked.client)}: {refused.message}")

    def _settle(self, signed: Signed, batch: Batch) -> list[tuple[Later, _Outcome]]:
        """Take what a slow signer has done, and decide on the requests that waited behind it."""
        chip_serial = signed.job.chip_serial
        first, *behind = self._signing.pop(chip_serial)
        settled: list[tuple[Later, _Outcome]] = []
        if isinstance(signed.outcome, ErrorReply):
            self._log_refusal(first.asked, signed.outcome)
            settled.append((first, signed.outcome))
        else:
            record = _as_asked(signed.outcome, first.asked, first.request)
            settled.append((first, self._keep(signed, record, first.asked, batch)))
        for later in behind:
            outcome = self._outcome(later.asked, batch, later)
            if outcome is not later:
                settled.append((later, outcome))
        return settled

    def _keep(self, signed: Signed, record: IssuedRecord, asked: Asked, batch: Batch) -> _Outcome:
        assert signed.documents is not None
        doubt = self._clock.doubt(signed.documents)
        if doubt is not None:  # of another one of the group than was looked at before, or the clock was set meanwhile
            self._log_refusal(asked, doubt)
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
            return refusal(error)
        return refusals.INTERNAL

    def _offer(self, request: SignerRequest) -> SignerReply | ErrorReply:
        """What would stop this client's certificates later is told now, before it touches a chip."""
        if self._records.failed:
            return refusals.RECORDS_FAILED
        self._records.require_intact()
        other_product = of_a_product(request.config_zone, self._zones) if request.config_zone else None
        if other_product is not None:
            return other_product
        signers = self._choose(request)
        if isinstance(signers, ErrorReply):
            return signers
        return replace(signers[0].documents.offer, server_time=int(self._clock.now().timestamp()))

    def _decide(
        self, request: CertificatesRequest, asked: Asked, batch: Batch, later: Later | None
    ) -> ErrorReply | IssuedRecord | Later:
        """Return the record to reply with, old or new, or the refusal, or what stands for either until it is known."""
        chip_serial = serial_number(request.config_zone)
        invalid = of_a_locked_chip(request, chip_serial)
        if invalid is not None:
            return invalid
        if chip_serial in self._signing:
            return self._wait(chip_serial, later or Later(asked, request))
        earlier: list[IssuedRecord] = [*self._records.find(chip_serial), *batch.find(chip_serial)]
        stored = next((record for record in reversed(earlier) if self._is_for(record, request)), None)
        if stored is not None:
            if self._is_to_be_replaced(stored, request):
                return self._issue(request, chip_serial, asked, batch, later)
            self._log.info(f"{device_text(chip_serial)} gets its stored certificates again{by_text(asked.client)}.")
            return stored
        if request.existing_only:
            return refusals.NOT_ISSUED
        if earlier and not self._allow_rekey:
            same_key = any(record.public_key == request.public_key for record in earlier)
            return refusals.OTHER_SIGNER if same_key else refusals.OTHER_KEY
        return self._issue(request, chip_serial, asked, batch, later)

    def _wait(self, chip_serial: bytes, later: Later) -> Later:
        self._signing.setdefault(chip_serial, []).append(later)
        return later

    def _is_for(self, record: IssuedRecord, request: CertificatesRequest) -> bool:
        if record.public_key != request.public_key:
            return False
        documents = self._records.documents(record.documents)
        if documents.signer_public_key == request.signer_public_key:
            return True
        return request.any_of_group and documents.group == self._group(request)

    def _group(self, request: Request) -> bytes | None:
        """The group of the signer that a request names, if any of the group will do."""
        if not request.any_of_group:
            return None
        key = request.signer_public_key
        documents = self._signers.documents_of(key)
        return documents.group if documents is not None else None

    def _is_to_be_replaced(self, stored: IssuedRecord, request: CertificatesRequest) -> bool:
        """Whether a certificate begins in the future and is on no chip, so that the same key gets another one.

        It was issued while the clock was wrong, and clients refuse it. What is on the chip only the request can tell:
        as long as the data zone is open every run writes it again, and from its lock on it stays.
        """
        begin = self._records.documents(stored.documents).device.issue_date(stored.time)
        if request.config_zone[LOCK_VALUE] != UNLOCKED or not self._clock.is_future(begin):
            return False
        if self._records.failed or isinstance(self._choose(request), ErrorReply):
            return False
        self._log.warning(
            f"{device_text(stored.chip_serial)} gets a new certificate: the earlier one begins on {moment(begin)}."
        )
        return True

    def _choose(self, request: Request) -> list[Signer] | ErrorReply:
        """Return the signers that may serve a request now, or why none does."""
        signers = self._signers.choose(request.signer_public_key, self._group(request))
        if isinstance(signers, ErrorReply):
            return signers
        trusted: list[Signer] = []
        doubt: ErrorReply | None = None
        for signer in signers:
            doubt = self._clock.doubt(signer.documents)
            if doubt is None:
                trusted.append(signer)
        return trusted or doubt or refusals.SIGNER_NOT_READY

    def _issue(
        self, request: CertificatesRequest, chip_serial: bytes, asked: Asked, batch: Batch, later: Later | None
    ) -> ErrorReply | IssuedRecord | Later:
        if self._records.failed:
            return refusals.RECORDS_FAILED
        signers = self._choose(request)
        if isinstance(signers, ErrorReply):
            return signers
        invalid = of_a_point(request) or of_a_product(request.config_zone, self._zones)
        invalid = invalid or self._refused_key(request.public_key, chip_serial, batch)
        if invalid is not None:
            return invalid
        self._keep_named(request)
        quick = next((signer for signer in signers if not signer.slow), None)
        if quick is None:
            return self._issue_later(request, chip_serial, later or Later(asked, request))
        self._records.keep_documents(quick.documents)
        record = _as_asked(issue(quick, request.public_key, chip_serial, self._clock.now()), asked, request)
        batch.add(record)
        return record

    def _refused_key(self, key: bytes, chip_serial: bytes, batch: Batch) -> ErrorReply | None:
        """A key is made in its chip and never leaves it: one that is elsewhere too identifies nothing."""
        if self._signers.is_ca_key(key):
            return refusals.CA_KEY
        own = (None, chip_serial)
        known = self._records.chip_of(key) not in own or batch.chip_of(key) not in own
        waiting = (chip for chip, laters in self._signing.items() if laters[0].request.public_key == key)
        return refusals.OTHER_CHIP if known or any(chip != chip_serial for chip in waiting) else None

    def _keep_named(self, request: CertificatesRequest) -> None:
        """Know the group of the signer that a client names after a restart too, though another one may sign."""
        named = self._signers.documents_of(request.signer_public_key)
        if request.any_of_group and named is not None:
            self._records.keep_documents(named)

    def _issue_later(self, request: CertificatesRequest, chip_serial: bytes, later: Later) -> Later:
        assert self._slow_signers is not None, "a slow signer without its thread"
        self._wait(chip_serial, later)
        self._slow_signers.put(SigningJob(request, chip_serial, self._group(request)))
        return later

    def _record(self, batch: Batch) -> ErrorReply | None:
        """Write what the batch issued; return the reply for its requests if that failed."""
        new = batch.records
        if not new:
            return None
        try:
            self._records.append(new)
        except AtcaProvError as error:
            self._log.error(str(error))
            return refusal(error)
        for record in new:
            signer = label(record.signer_serial, record.signer_name)
            self._log.info(f"{device_text(record.chip_serial)} certified by {signer}{by_text(record.client)}.")
        return None

    def _reply(self, outcome: _Outcome, batch: Batch, failure: ErrorReply | None) -> Reply:
        assert not isinstance(outcome, Later)
        if not isinstance(outcome, IssuedRecord):
            return outcome
        if failure is not None and outcome in batch.find(outcome.chip_serial):
            return failure
        return certificates_reply(outcome, self._records.documents(outcome.documents))


def _as_asked(record: IssuedRecord, asked: Asked, request: CertificatesRequest) -> IssuedRecord:
    """Add to a record who asked for it, and which part the chip says it is."""
    revision = request.revision.to_bytes(REVISION_SIZE, "big") if request.revision else b""
    return replace(record, client=asked.client, revision=revision, config_revision=request.config_zone[REVISION])
