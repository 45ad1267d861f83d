"""Answers requests, a step at a time. Knows no sockets: requests in, replies out.

A step decides on what came in, writes at once what the step before has signed and what this one is going to sign,
replies to what is written, and signs. So each step costs one sync of the disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, Protocol

from atcaprov.chip.memory_map import serial_number
from atcaprov.errors import AtcaProvError, Board, Code
from atcaprov.log import Log, LogEvent, log_event
from atcaprov.wire.messages import (
    CertificatesRequest,
    EnrolRequest,
    ErrorReply,
    ReportRequest,
    SignerReply,
    SignerRequest,
)
from provisioning_server import rejections
from provisioning_server.guide_files.issued_entries import IssuedEntry
from provisioning_server.internal_error import internal_error
from provisioning_server.issuing.certification import Certification
from provisioning_server.issuing.crl_issuing import CrlIssuing
from provisioning_server.issuing.in_progress import Step
from provisioning_server.issuing.lost_intents import claim_name, lost_intents
from provisioning_server.issuing.report_rules import ReportRules, report_reply
from provisioning_server.issuing.request_rules import ProofLimit, RequestRules
from provisioning_server.issuing.requests import (
    Administration,
    AdministrationOutcome,
    ClientRequest,
    CrlOrder,
    CrlOutcome,
    Delivery,
    Item,
)
from provisioning_server.issuing.rollback_guard import LedgerGuard, Unguarded
from provisioning_server.issuing.server_clock import ServerClock
from provisioning_server.issuing.signing_queue import CrlJob, SignerEvent, SignerReady, SigningBegins, SlowSigners
from provisioning_server.issuing.station_table import StationTable, removed_since
from provisioning_server.ledger.administration import StationRemoved
from provisioning_server.ledger.changes import Reported
from provisioning_server.ledger.store import Known, Ledger
from provisioning_server.log_names import asker_text, by_text, device_text
from provisioning_server.products.served_products import ServedProducts
from provisioning_server.rejections import rejection
from provisioning_server.revocation.schedule import DEFAULT_VALIDITY
from provisioning_server.signers.registry import SignerRegistry

_FEW: Final = 100
"""Entries of an administration that are written also when the disk is nearly full, as the removal of a station is."""
ELSEWHERE_SECONDS: Final = 0.05
"""Between two looks at a chip for which another server issues."""


def _no_checkpoint() -> bytes:
    return b""


class IssuedListener(Protocol):
    """Is told what was replied."""

    def add(self, start: int, end: int, entries: Sequence[IssuedEntry]) -> None:
        """Take over the certificates among the entries from `start` to before `end`; returns at once."""


class Authority:
    """Issues certificates with the signers of a registry and keeps a ledger of them. Used by one thread at a time."""

    def __init__(
        self,
        signers: SignerRegistry,
        ledger: Ledger,
        log: Log,
        clock: Callable[[], datetime],
        *,
        server: str = "",
        alone: bool = False,
        slow_signers: SlowSigners | None = None,
        listener: IssuedListener | None = None,
        guard: LedgerGuard | None = None,
        checkpoint: Callable[[], bytes] = _no_checkpoint,
        log_key: Callable[[], bytes] = _no_checkpoint,
        allow_rekey: bool = False,
        products: ServedProducts | None = None,
        proofs: ProofLimit | None = None,
        crl_validity: timedelta = DEFAULT_VALIDITY,
        stations: StationTable | None = None,
        require_order: bool = False,
    ) -> None:
        """Take the name of this server, and log its intents that have no result.

        Raises AtcaProvError RECORDS_FAILED, or UsageError LEDGER_IN_USE if another program has the name.
        `checkpoint` returns a signed note about the newest head of the ledger, or no bytes.
        `server` names this one among all of a ledger; if it is `alone`, those of another name are its own, too: then
        it has got a new name since. `products` are those that are served; without them every chip is. `proofs` tells
        which stations owe too many proofs. `guard` compares signers and checkpoints with the ledger; `log_key` returns
        the verifier key of the checkpoints as text. Lists of revoked certificates are valid for `crl_validity`.
        `stations` says who was removed since it asked. With `require_order` nothing is issued without a work order.
        """
        guard = guard or Unguarded()
        claim_name(ledger, server)
        self._ledger = ledger
        self._log_key = log_key
        self._log = log
        self._listener = listener
        checked_clock = ServerClock(clock, lambda: ledger.newest)
        self._rules = RequestRules(
            signers,
            ledger,
            checked_clock,
            log,
            guard=guard,
            allow_rekey=allow_rekey,
            products=products,
            proofs=proofs,
            require_order=require_order,
        )
        self._certification = Certification(
            signers,
            ledger,
            self._rules,
            checked_clock,
            log,
            server=server,
            slow_signers=slow_signers,
            guard=guard,
            stations=stations,
        )
        self._crls = CrlIssuing(
            signers,
            ledger,
            checked_clock,
            log,
            server=server,
            slow_signers=slow_signers,
            guard=guard,
            validity=crl_validity,
        )
        self._stations = stations
        self._report_rules = ReportRules(ledger, clock)
        self._checkpoint = checkpoint
        self._failure: ErrorReply | None = None
        self._look_elsewhere_at = 0.0
        self._nothing_known = ledger.known((), ())
        self._next = Step(self._nothing_known)
        for lost in lost_intents(ledger, None if alone else server, clock(), log):
            self._next.add_event(lost)

    @property
    def waits(self) -> float | None:
        """Return in how many seconds the next step is due though nothing comes in; None if none is."""
        if not self._next.empty or self._certification.to_decide or self._crls.to_decide:
            return 0.0
        return ELSEWHERE_SECONDS if self._certification.elsewhere else None

    def step(self, items: Sequence[Item], deliver: Callable[[list[Delivery]], None]) -> None:
        """Take requests and what slow signers did; `deliver` is called with the replies that are due.

        What is signed in this step is written and replied by the next one. No item raises; an error of this program
        that could have touched others is raised when all have their replies.
        """
        items = [self._rules.named(item) if isinstance(item, ClientRequest) else item for item in items]
        step, self._next = self._next, Step(self._nothing_known)
        written = bug = None
        if self._failure is None:
            try:
                self._decide(items, step)
                written = step.write(self._ledger)
                self._acknowledge(step)
            except Exception as error:  # nothing is known of what this step has written
                self._failure = self._fail(error)
                bug = None if self._ledger.failed else error
        if self._failure is not None:
            self._refuse_all(items, self._failure, step)
        deliver(step.deliveries)
        if bug is not None:  # the health check looks at the ledger, which has not failed: end, and be started again
            raise bug
        if written is not None and written.head.size > written.first_index and self._listener is not None:
            self._listener.add(written.first_index, written.head.size, step.issued)
        self._certification.sign(self._next)
        self._crls.sign(self._next)

    def _decide(self, items: Sequence[Item], step: Step) -> None:
        certification = self._certification
        if certification.elsewhere and time.monotonic() >= self._look_elsewhere_at:
            certification.look_elsewhere()
            self._look_elsewhere_at = time.monotonic() + ELSEWHERE_SECONDS
        step.known = self._look_up(items)
        certification.go_on(step)
        self._crls.go_on(step)
        for item in items:
            if isinstance(item, Administration):
                self._administer(item, step)
            elif isinstance(item, CrlOrder):
                self._crls.begin(item, step)
            elif isinstance(item, ClientRequest) and (removed := removed_since(self._stations, item)) is not None:
                self._log.info(_refused(item.request.TITLE.capitalize(), removed, item, b""))
                step.reply(item, removed)
            elif not isinstance(item, ClientRequest):
                self._take_of_signer(item, step)
            elif isinstance(item.request, CertificatesRequest):
                certification.begin(item, item.request, step)
            else:
                self._answer(item, item.request, step)
        certification.follow_signers()

    def _take_of_signer(self, event: SignerEvent, step: Step) -> None:
        if not isinstance(event, SignerReady) and isinstance(event.job, CrlJob):
            self._crls.take(event.job, event, step)
        else:
            self._certification.take(event, step)

    def _answer(self, asked: ClientRequest, request: SignerRequest | ReportRequest | EnrolRequest, step: Step) -> None:
        """Answer a request that needs no signature."""
        if isinstance(request, EnrolRequest):
            step.reply(asked, rejections.NO_ENROLMENT)
            return
        try:
            if isinstance(request, ReportRequest):
                self._take(asked, request, step)
                return
            offer = self._with_checkpoint(self._rules.offer(request, step.known, asked.asker, asked.station))
        except Exception as error:
            if self._ledger.failed:
                raise
            text = f"A request failed{by_text('', asked.request_id)}: {error!r}"
            self._log.error(asked.event("failed", text, chip=request.chip_serial))
            offer = rejections.INTERNAL
        if isinstance(offer, ErrorReply):
            self._log.info(_refused("Signer request", offer, asked, request.chip_serial))
            step.reply(asked, offer)
        else:
            step.reply(asked, offer)

    def _administer(self, item: Administration, step: Step) -> None:
        """Decide on what a person wants, to be written and acknowledged at the end of the step."""
        try:
            events = list(item.decide(self._ledger))
            if len(events) > _FEW and not self._ledger.has_room(len(events)):
                raise AtcaProvError(
                    f"The disk of the ledger is nearly full: it does not take these {len(events)} entries.",
                    advice="Nothing was changed. Make room on it, then try again.",
                    code=Code.DISK_FULL,
                )
        except Exception as error:
            if self._ledger.failed:
                raise
            refused = error if isinstance(error, AtcaProvError) else internal_error(error)
            step.deliveries.append((item.deliver, AdministrationOutcome(error=refused)))
            return
        for event in events:
            if isinstance(event, StationRemoved) and self._stations is not None:
                self._stations.remove(event.station)
        entries: list[int | None] = []
        step.administrations.append((item, entries))
        for event in events:
            step.add_event(event, lambda index, _: entries.append(index), lambda: entries.append(None))

    def _take(self, asked: ClientRequest, request: ReportRequest, step: Step) -> None:
        """Take a report, to be written and acknowledged at the end of the step, or refuse it."""
        outcome = self._report_rules.decide(request, asked, step.known, step.reports)
        if isinstance(outcome, ErrorReply):
            what = f"Report of {device_text(request.chip_serial)}"
            self._log.warning(_refused(what, outcome, asked, request.chip_serial))
            step.reply(asked, outcome)
            return
        step.accepted.append((asked, outcome))
        if outcome.is_new:
            step.add_event(outcome.reported, lambda index, head: self._tell(outcome.reported))

    def _tell(self, reported: Reported) -> None:
        """Log what the ledger has of a board that is not good."""
        if reported.fate != Board.GOOD:
            code = f", {reported.code}" if reported.code else ""
            who = asker_text(reported.client, reported.station)
            by = f", by {who}" if who else ""
            run = by_text("", reported.request_id)
            text = f"{device_text(reported.chip_serial)} is reported as {reported.fate}{code}{by}{run}."
            self._log.info(_reported_event(reported, text))

    def _acknowledge(self, step: Step) -> None:
        """Reply to the administrations and reports of a step that is written; a checkpoint covers the reports."""
        for administration, entries in step.administrations:
            step.deliveries.append((administration.deliver, AdministrationOutcome(tuple(entries))))
        if not step.accepted:
            return
        try:
            checkpoint = self._checkpoint()
        except AtcaProvError as error:
            self._log.error(f"Reports are acknowledged without a checkpoint: {error}")
            checkpoint = b""
        for asked, accepted in step.accepted:
            step.reply(asked, report_reply(accepted, checkpoint))

    def _with_checkpoint(self, offer: SignerReply | ErrorReply) -> SignerReply | ErrorReply:
        if isinstance(offer, ErrorReply):
            return offer
        return replace(offer, checkpoint=self._checkpoint(), log_key=self._log_key())

    def _look_up(self, items: Sequence[Item]) -> Known:
        """Ask the ledger about all chips and keys of a step at once."""
        chips: set[bytes] = set()
        keys: set[bytes] = set()
        units: set[tuple[str, str]] = set()
        for asked in self._asked(items):
            request = asked.request
            if isinstance(request, CertificatesRequest):
                chips.add(serial_number(request.config_zone))
                keys.add(request.public_key)
            if not isinstance(request, ReportRequest | EnrolRequest) and request.unit:
                units.add((request.product, request.unit))
            if isinstance(request, CertificatesRequest):
                continue
            if not isinstance(request, EnrolRequest) and request.chip_serial:
                chips.add(request.chip_serial)
        return self._ledger.known(chips, keys, units) if chips or units else self._nothing_known

    def _asked(self, items: Sequence[Item]) -> Iterator[ClientRequest]:
        yield from self._certification.to_decide
        yield from (item for item in items if isinstance(item, ClientRequest))

    def _fail(self, error: Exception) -> ErrorReply:
        """End issuing, until the server is started again."""
        if isinstance(error, AtcaProvError):
            self._log.error(str(error))
            return rejection(error)
        self._log.error(f"Internal error, and nothing is issued any more: {error!r}")
        return rejections.INTERNAL

    def _refuse_all(self, items: Sequence[Item], failure: ErrorReply, step: Step) -> None:
        """Reply the same to all that came in and all that is in progress: not even what is stored can be trusted."""
        asked = [*step.asked, *self._certification.abandon()]
        asked += [item for item in items if isinstance(item, ClientRequest)]
        step.deliveries = [(each.deliver, failure) for each in {id(each): each for each in asked}.values()]
        for item in items:
            if isinstance(item, SigningBegins):
                item.permit.refuse()
        administrations = [each for each, _ in step.administrations]
        administrations += [item for item in items if isinstance(item, Administration) and item not in administrations]
        error = AtcaProvError(failure.message, code=Code(failure.code))
        step.deliveries += [(each.deliver, AdministrationOutcome(error=error)) for each in administrations]
        orders = [*self._crls.abandon(), *(item for item in items if isinstance(item, CrlOrder))]
        step.deliveries += [
            (each.deliver, CrlOutcome(error=error)) for each in {id(each): each for each in orders}.values()
        ]


def _refused(what: str, refusal: ErrorReply, asked: ClientRequest, chip: bytes) -> LogEvent:
    text = f"{what} refused, {refusal.code}{by_text(asked.asker, asked.request_id)}: {refusal.message}"
    return asked.event("refused", text, chip=chip, code=refusal.code)


def _reported_event(reported: Reported, text: str) -> LogEvent:
    return log_event(
        "reported",
        text,
        request_id=reported.request_id.hex(),
        chip=reported.chip_serial,
        fate=reported.fate,
        code=reported.code,
        station=reported.station,
        client=reported.client,
    )
