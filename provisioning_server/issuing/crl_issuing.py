"""Lists of revoked certificates from the order to the ledger: intended, signed, recorded, as certificates are.

A signer never sees a digest whose intent is not on the disk, and no one a list whose entry is not. So the signatures in
the ledger are exactly those that a signer's counter has, wherever the server is cut. A signer has one list in progress.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from atcaprov.errors import AtcaProvError, Code, ServerRejected
from atcaprov.log import Log
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.issuing.in_progress import Step
from provisioning_server.issuing.lost_intents import close_abandoned
from provisioning_server.issuing.requests import CrlOrder, CrlOutcome
from provisioning_server.issuing.rollback_guard import LedgerGuard
from provisioning_server.issuing.server_clock import ServerClock
from provisioning_server.issuing.signing_queue import (
    CrlJob,
    JobEvent,
    Signed,
    SigningBegins,
    SigningFailed,
    SlowSigners,
)
from provisioning_server.ledger.administration import CrlIssued
from provisioning_server.ledger.changes import Intent, Lost
from provisioning_server.ledger.store import Ledger
from provisioning_server.log_names import label
from provisioning_server.revocation.crl import PendingCrl, require_crl_sign
from provisioning_server.revocation.crl_contents import NextCrl, next_crl
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer

TRIES: Final = 10
"""How often a list is made again because another server revoked or signed one of its signer in between."""
_CHANGED: Final = ServerRejected(
    "Another server of the ledger revokes certificates of this signer or signs its list. Try again.",
    code=Code.SERVER_BUSY,
)
_IN_PROGRESS: Final = ServerRejected("A list of this signer is being signed already. Try again.", code=Code.SERVER_BUSY)


@dataclass(slots=True, eq=False)
class _InProgress:
    order: CrlOrder
    signer: Signer
    list: NextCrl | None = None
    intent: Intent | None = None
    job: CrlJob | None = None
    tries: int = 0


class CrlIssuing:
    """The lists in progress. `server` names this server among all of the ledger; lists are valid for `validity`."""

    def __init__(
        self,
        signers: SignerRegistry,
        ledger: Ledger,
        clock: ServerClock,
        log: Log,
        *,
        server: str,
        slow_signers: SlowSigners | None,
        guard: LedgerGuard,
        validity: timedelta,
    ) -> None:
        self._signers = signers
        self._ledger = ledger
        self._clock = clock
        self._log = log
        self._server = server
        self._slow_signers = slow_signers
        self._guard = guard
        self._validity = validity
        self._in_progress: dict[bytes, _InProgress] = {}  # by the signer's serial number
        self._to_sign: list[_InProgress] = []
        self._again: list[_InProgress] = []

    @property
    def to_decide(self) -> bool:
        """Return whether the next step makes a list again."""
        return bool(self._again)

    def abandon(self) -> list[CrlOrder]:
        """Forget all lists, and return their orders: nothing can be recorded any more."""
        orders = [each.order for each in self._in_progress.values()]
        self._in_progress, self._to_sign, self._again = {}, [], []
        return orders

    def begin(self, order: CrlOrder, step: Step) -> None:
        """Decide on an order."""
        if order.signer_serial in self._in_progress:
            self._refuse(order, _IN_PROGRESS, step)
            return
        try:
            signer = self._signer(order.signer_serial)
            require_crl_sign(signer.documents.signer_certificate)
        except AtcaProvError as error:
            if self._ledger.failed:
                raise
            self._refuse(order, error, step)
            return
        started = self._in_progress[order.signer_serial] = _InProgress(order, signer)
        self._start(started, step)

    def go_on(self, step: Step) -> None:
        """Make the lists again whose contents another server has changed."""
        again, self._again = self._again, []
        if again:
            signers = {each.signer.serial for each in again}
            close_abandoned(self._ledger, self._server, signers, self._clock.now(), self._log)
        for each in again:
            self._start(each, step)

    def take(self, job: CrlJob, event: JobEvent, step: Step) -> None:
        """Take what happened to the job of a slow signer."""
        found = next((each for each in self._in_progress.values() if each.job is job), None)
        if found is None:  # it was abandoned
            if isinstance(event, SigningBegins):
                event.permit.refuse()
        elif isinstance(event, SigningBegins):
            self._intend_slowly(found, event, step)
        elif isinstance(event, Signed):
            self._take_signed(found, event, step)
        elif isinstance(event, SigningFailed):
            self._lose(found, event.signed, event.reason, _failed(event.reason), step)
        else:
            self._end(found, _rejected(event.refusal), step)

    def sign(self, following: Step) -> None:
        """Sign with quick signers what the step was written for; the step that follows writes the results."""
        to_sign, self._to_sign = self._to_sign, []
        for each in to_sign:
            assert each.list is not None
            try:
                crl = each.list.pending.finish(each.signer.sign(each.list.pending.digest))
            except Exception as error:  # a signer may raise anything
                self._lose(each, None, _text(error), _failed(_text(error)), following)
            else:
                self._add_issued(each, crl, following)

    def _signer(self, serial: bytes) -> Signer:
        """Return a signer that may sign now; raises ServerRejected."""
        signer = next((each for each in self._signers if each.serial == serial), None)
        if signer is None:
            raise ServerRejected(
                f"The signer {serial.hex().upper()} is not connected.",
                advice="Connect it; 'provisioning-server crl list' shows the serial numbers.",
                code=Code.SIGNER_UNPLUGGED,
            )
        chosen = self._signers.choose(signer.documents.signer_public_key)
        if isinstance(chosen, ErrorReply):
            raise _rejected(chosen)
        refusal = self._refusal(signer)
        if refusal is not None:
            raise _rejected(refusal)
        return signer

    def _refusal(self, signer: Signer) -> ErrorReply | None:
        """Return why a signer may sign nothing at this moment."""
        if not self._ledger.has_room():
            return rejections.DISK_FULL
        return self._guard.admit(signer) or self._clock.doubt(signer.documents)

    def _start(self, each: _InProgress, step: Step) -> None:
        if each.signer.slow:
            assert self._slow_signers is not None, "a slow signer without its thread"
            each.job = CrlJob(each.signer.documents.signer_public_key, lambda signer, now: self._build(each))
            self._slow_signers.put(each.job)
            return
        try:
            self._build(each)
        except Exception as error:  # of this list alone, unless the ledger has failed
            if self._ledger.failed:
                raise
            self._end(each, _failed(_text(error)), step)
            return
        self._intend(each, step, lambda: self._to_sign.append(each), lambda: None)

    def _build(self, each: _InProgress) -> PendingCrl:
        """Make the list of what is revoked now; also called in the thread of a slow signer."""
        serial, documents = each.signer.serial, each.signer.documents
        each.list = next_crl(self._ledger, serial, documents, self._clock.now(), self._validity)
        return each.list.pending

    def _intend_slowly(self, each: _InProgress, event: SigningBegins, step: Step) -> None:
        refusal = self._refusal(event.signer)
        if refusal is not None:
            event.permit.refuse()
            self._end(each, _rejected(refusal), step)
            return
        each.signer = event.signer  # it may have been reconnected meanwhile
        self._intend(each, step, event.permit.grant, event.permit.refuse)

    def _intend(self, each: _InProgress, step: Step, opened: Callable[[], None], refused: Callable[[], None]) -> None:
        assert each.list is not None
        documents = each.signer.documents
        step.add_documents(documents)
        each.intent = Intent(
            chip_serial=each.signer.serial,
            public_key=documents.signer_public_key,
            signer_serial=each.signer.serial,
            signer_key=documents.signer_public_key,
            documents=documents.document_id,
            time=each.list.this_update,
            unsigned=each.list.pending.unsigned,
            server=self._server,
            last_index=each.list.newest_revocation,
            crl_number=each.list.number,
        )

        def look_again() -> None:
            refused()
            each.tries += 1
            if each.tries < TRIES:
                self._again.append(each)
            else:
                self._end(each, _CHANGED, step)

        step.add_intent(each.intent, opened, look_again)

    def _take_signed(self, each: _InProgress, event: Signed, step: Step) -> None:
        assert each.intent is not None
        assert isinstance(event.result, bytes)
        try:
            for lost in self._guard.signed(event.signer, each.intent, event.before):
                step.add_event(lost)
        except AtcaProvError as error:
            if self._ledger.failed:
                raise
            self._lose(each, True, error.what, error, step)
            return
        self._add_issued(each, event.result, step)

    def _add_issued(self, each: _InProgress, crl: bytes, step: Step) -> None:
        assert each.list is not None
        issued = CrlIssued(each.list.this_update, each.signer.serial, each.list.number, crl)

        def written(_: int, __: object) -> None:
            by = f", for {each.order.by}" if each.order.by else ""
            self._log.info(f"{label(each.signer.serial, each.signer.name)} has signed CRL {issued.number}{by}.")
            self._in_progress.pop(each.order.signer_serial)
            step.deliveries.append((each.order.deliver, CrlOutcome(issued)))

        step.add_event(issued, written)

    def _lose(self, each: _InProgress, signed: bool | None, reason: str, error: AtcaProvError, step: Step) -> None:
        assert each.intent is not None
        lost = Lost(each.intent, self._clock.now(), signed, reason)
        step.add_event(lost, lambda _, __: self._end(each, error, step))

    def _end(self, each: _InProgress, error: AtcaProvError, step: Step) -> None:
        self._in_progress.pop(each.order.signer_serial)
        self._refuse(each.order, error, step)

    def _refuse(self, order: CrlOrder, error: AtcaProvError, step: Step) -> None:
        self._log.warning(f"CRL of signer {order.signer_serial.hex().upper()} not signed, {error.code}: {error.what}")
        step.deliveries.append((order.deliver, CrlOutcome(error=error)))


def _rejected(refusal: ErrorReply) -> ServerRejected:
    return ServerRejected(refusal.message, code=refusal.code)


def _failed(reason: str) -> ServerRejected:
    return ServerRejected(
        f"The signer did not sign the list: {reason.rstrip('.')}.",
        advice="See the server's program log.",
        code=Code.INTERNAL,
    )


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, AtcaProvError) else repr(error)
