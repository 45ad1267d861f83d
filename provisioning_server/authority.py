"""Decides on requests and issues certificates. Knows no sockets: requests in, replies out, a batch at a time.

The order is: decide, sign, prove the certificate, write all records of the batch durably, and only then reply. The
same chip, key and signer get the stored certificates again; nothing is signed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from atcaprov.certs.keys import load_public_key
from atcaprov.chip.memory_map import LOCK_CONFIG, LOCKED, SERIAL_SIZE, serial_number
from atcaprov.errors import AtcaProvError, CertificateError, Code
from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server import refusals
from provisioning_server.issuance import certificates_reply, issue
from provisioning_server.refusals import refusal
from provisioning_server.signer_documents import SignerDocuments
from provisioning_server.signers.roster import SignerRoster
from provisioning_server.signers.signer import Signer, label
from provisioning_server.signing_log import IssuedRecord

Request = CertificatesRequest | SignerRequest
Reply = CertificatesReply | SignerReply | ErrorReply
_Outcome = SignerReply | ErrorReply | IssuedRecord
_Batch = dict[bytes, list[IssuedRecord]]  # what this batch issued, by chip serial
_NO_SERIALS = (bytes(SERIAL_SIZE), b"\xff" * SERIAL_SIZE)


class Records(Protocol):
    """What the authority needs of a store. Every method may raise AtcaProvError RECORDS_FAILED."""

    @property
    def failed(self) -> bool:
        """Whether a write has failed since the start; then nothing is issued any more."""

    def find(self, chip_serial: bytes) -> list[IssuedRecord]:
        """Return the records of a chip, oldest first."""

    def documents(self, document_id: str) -> SignerDocuments:
        """Return the signer documents that a record names."""

    def keep_documents(self, documents: SignerDocuments) -> None:
        """Keep documents durably before a record names them."""

    def append(self, records: Sequence[IssuedRecord]) -> None:
        """Write records durably: all of them, or raise."""


class ProgramLog(Protocol):
    """Where the server says what it does."""

    def info(self, text: str) -> None:
        """Write a line."""

    def warning(self, text: str) -> None:
        """Write a line that somebody should look at."""

    def error(self, text: str) -> None:
        """Write a line about a fault of the server."""


class Authority:
    """Issues certificates with the signers of a roster and keeps records of them. Used by one thread at a time."""

    def __init__(
        self,
        signers: SignerRoster,
        records: Records,
        log: ProgramLog,
        clock: Callable[[], datetime],
        *,
        allow_rekey: bool = False,
    ) -> None:
        self._signers = signers
        self._records = records
        self._log = log
        self._clock = clock
        self._allow_rekey = allow_rekey

    def answer(self, requests: Sequence[Request]) -> list[Reply]:
        """Answer a batch of requests, in their order. No request can raise: each gets its reply."""
        batch: _Batch = {}
        outcomes = [self._outcome(request, batch) for request in requests]
        failure = self._record(batch)
        return [self._reply(outcome, batch, failure) for outcome in outcomes]

    def _outcome(self, request: Request, batch: _Batch) -> _Outcome:
        try:
            if isinstance(request, SignerRequest):
                return self._offer(request)
            outcome = self._decide(request, batch)
        except Exception as error:  # whatever a signer raises, the other requests of the batch get their answers
            return self._failed(error)
        if isinstance(outcome, ErrorReply):
            serial = serial_number(request.config_zone).hex().upper()
            self._log.info(f"Device ({serial}) refused, {outcome.code}: {outcome.message}")
        return outcome

    def _failed(self, error: Exception) -> ErrorReply:
        self._log.error(f"A request failed: {error if isinstance(error, AtcaProvError) else repr(error)}")
        if isinstance(error, AtcaProvError) and error.code == Code.RECORDS_FAILED:
            return refusal(error)
        return refusals.INTERNAL

    def _offer(self, request: SignerRequest) -> SignerReply | ErrorReply:
        signer = self._ready_signer(request.signer_public_key)
        if isinstance(signer, ErrorReply):
            self._log.info(f"Signer request refused, {signer.code}: {signer.message}")
            return signer
        return signer.documents.offer

    def _decide(self, request: CertificatesRequest, batch: _Batch) -> ErrorReply | IssuedRecord:
        """Return the record to reply with, old or new, or the refusal."""
        chip_serial = serial_number(request.config_zone)
        if chip_serial in _NO_SERIALS:
            return refusals.NO_SERIAL
        if request.config_zone[LOCK_CONFIG] != LOCKED:
            return refusals.NOT_LOCKED
        earlier: list[IssuedRecord] = [*self._records.find(chip_serial), *batch.get(chip_serial, ())]
        stored = next((record for record in earlier if self._is_for(record, request)), None)
        if stored is not None:
            self._log.info(f"Device ({chip_serial.hex().upper()}) gets its stored certificates again.")
            return stored
        if request.existing_only:
            return refusals.NOT_ISSUED
        if earlier and not self._allow_rekey:
            same_key = any(record.public_key == request.public_key for record in earlier)
            return refusals.OTHER_SIGNER if same_key else refusals.OTHER_KEY
        return self._issue(request, chip_serial, batch)

    def _is_for(self, record: IssuedRecord, request: CertificatesRequest) -> bool:
        if record.public_key != request.public_key:
            return False
        return self._records.documents(record.documents).signer_public_key == request.signer_public_key

    def _ready_signer(self, public_key: bytes) -> Signer | ErrorReply:
        signer = self._signers.find(public_key)
        if signer is None:
            return refusals.SIGNER_UNKNOWN
        return signer if signer.ready else refusals.SIGNER_NOT_READY

    def _issue(self, request: CertificatesRequest, chip_serial: bytes, batch: _Batch) -> ErrorReply | IssuedRecord:
        if self._records.failed:
            return refusals.RECORDS_FAILED
        signer = self._ready_signer(request.signer_public_key)
        if isinstance(signer, ErrorReply):
            return signer
        self._records.keep_documents(signer.documents)
        try:
            load_public_key(request.public_key)
        except CertificateError as error:
            return refusal(error, code=Code.REQUEST_INVALID)
        record = issue(signer, request.public_key, chip_serial, self._clock())
        batch.setdefault(chip_serial, []).append(record)
        return record

    def _record(self, batch: _Batch) -> ErrorReply | None:
        """Write what the batch issued; return the reply for its requests if that failed."""
        new = [record for records in batch.values() for record in records]
        if not new:
            return None
        try:
            self._records.append(new)
        except AtcaProvError as error:
            self._log.error(str(error))
            return refusal(error)
        for record in new:
            signer = label(record.signer_serial, record.signer_name)
            self._log.info(f"Device ({record.chip_serial.hex().upper()}) certified by {signer}.")
        return None

    def _reply(self, outcome: _Outcome, batch: _Batch, failure: ErrorReply | None) -> Reply:
        if not isinstance(outcome, IssuedRecord):
            return outcome
        if failure is not None and outcome in batch.get(outcome.chip_serial, ()):
            return failure
        return certificates_reply(outcome, self._records.documents(outcome.documents))
