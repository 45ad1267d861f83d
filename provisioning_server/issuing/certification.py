"""Certificates from the application to the reply: decided, intended, signed, recorded. Each in a step of the authority.

A signer never sees a digest whose intent is not on the disk, and no client a certificate whose record is not. Further
applications for a chip wait while a certificate for it is in progress, and are decided then.
"""

from __future__ import annotations

import functools
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from atcaprov.certs.issued_record import IssuedRecord, Origin
from atcaprov.chip.memory_map import REVISION, serial_number
from atcaprov.chip.parts import REVISION_SIZE
from atcaprov.errors import AtcaProvError
from atcaprov.log import Log
from atcaprov.wire.messages import CHALLENGE_SIZE, CertificatesRequest, ErrorReply
from provisioning_server import rejections
from provisioning_server.guide_files.issued_entries import IssuedEntry
from provisioning_server.issuing.in_progress import InProgress, Step
from provisioning_server.issuing.issuance import Applicant, Prepared, certificates_reply, finish, prepare
from provisioning_server.issuing.lost_intents import close_abandoned
from provisioning_server.issuing.request_rules import RequestRules, check_locked_chip
from provisioning_server.issuing.requests import Application, ClientRequest
from provisioning_server.issuing.rollback_guard import LedgerGuard
from provisioning_server.issuing.server_clock import ServerClock
from provisioning_server.issuing.signing_queue import (
    JobEvent,
    Signed,
    SignerEvent,
    SignerReady,
    SigningBegins,
    SigningFailed,
    SigningJob,
    SlowSigners,
)
from provisioning_server.issuing.station_table import StationTable, removed_since
from provisioning_server.ledger.changes import NO_CERTIFICATE, GivenChallenge, Intent, Issued, Lost
from provisioning_server.ledger.store import Ledger, StoredCertificate, TreeHead
from provisioning_server.log_names import by_text, device_text
from provisioning_server.orders.askers import asker_of
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import Signer

OTHER_SERVER_TRIES: Final = 100
"""How often a chip is looked at again while another server has an intent for it."""
CHALLENGES_MAX: Final = 200
"""Challenges for one certificate from a start to the next. Each may have a report, and all of these are looked at again
for the next one, so a client that asks again and again would hold up the others."""


class Certification:
    """The certificates in progress. `server` names this server among all of the ledger."""

    def __init__(
        self,
        signers: SignerRegistry,
        ledger: Ledger,
        rules: RequestRules,
        clock: ServerClock,
        log: Log,
        *,
        server: str,
        slow_signers: SlowSigners | None,
        guard: LedgerGuard,
        stations: StationTable | None = None,
    ) -> None:
        self._stations = stations
        self._guard = guard
        self._signers = signers
        self._signers_changes = signers.changes
        self._ledger = ledger
        self._rules = rules
        self._clock = clock
        self._log = log
        self._server = server
        self._slow_signers = slow_signers
        self._kept: set[str] = set()
        self._sent_again = Counter[int]()  # by the index of the certificate
        self._in_progress = InProgress()
        self._again: list[Application] = []
        self._later: list[Application] = []
        self._to_sign: list[tuple[Application, Prepared, Signer]] = []
        for documents in ledger.known_documents():
            signers.remember(documents)
            self._kept.add(documents.document_id)

    @property
    def to_decide(self) -> list[ClientRequest]:
        """Return the requests that the next step decides again."""
        return [application.asked for application in self._again]

    @property
    def elsewhere(self) -> bool:
        """Return whether applications wait for another server."""
        return bool(self._later)

    def abandon(self) -> list[ClientRequest]:
        """Forget all applications, and return their requests: nothing can be recorded any more."""
        applications = [*self._in_progress, *self._again, *self._later]
        self._in_progress = InProgress()
        self._again, self._later, self._to_sign = [], [], []
        return [application.asked for application in applications]

    def begin(self, asked: ClientRequest, request: CertificatesRequest, step: Step) -> None:
        """Decide on a request."""
        chip_serial = serial_number(request.config_zone)
        refused = check_locked_chip(request, chip_serial)
        application = Application(asked, request, chip_serial)
        if refused is not None:
            self._refuse(application, refused, step)
        else:
            self._consider(application, step)

    def go_on(self, step: Step) -> None:
        """Decide on the applications that waited for another one."""
        again, self._again = self._again, []
        for application in again:
            step.asked.append(application.asked)
            self._consider(application, step)

    def look_elsewhere(self) -> None:
        """Let the next `go_on` decide again on what waits for another server, which may have ended."""
        wanted = {each.chip_serial for each in self._later} | {each.request.public_key for each in self._later}
        close_abandoned(self._ledger, self._server, wanted, self._clock.now(), self._log)
        self._again += self._later
        self._later = []

    def follow_signers(self) -> None:
        """Let others have the jobs of signers that the guard has taken out of use, or refuse them."""
        if self._signers.changes != self._signers_changes:
            self._signers_changes = self._signers.changes
            if self._slow_signers is not None:
                self._slow_signers.signers_changed()

    def take(self, event: SignerEvent, step: Step) -> None:
        """Take what happened to a slow signer or its job."""
        if isinstance(event, SignerReady):
            self._guard.admit(event.signer)
        elif isinstance(event.job, SigningJob):
            self._take_of_job(event.job, event, step)

    def _take_of_job(self, job: SigningJob, event: JobEvent, step: Step) -> None:
        application = self._in_progress.first(job.chip_serial)
        if application is None or application.request is not job.request:  # it was abandoned
            if isinstance(event, SigningBegins):
                event.permit.refuse()
        elif isinstance(event, SigningBegins):
            self._intend_slowly(application, event, step)
        elif isinstance(event, Signed):
            self._take_signed(application, event, step)
        elif isinstance(event, SigningFailed):
            self._take_failed(application, event, step)
        else:
            self._refuse(application, event.refusal, step)
            self._end(application)

    def sign(self, following: Step) -> None:
        """Sign what the step was written for; the step that follows writes the results."""
        to_sign, self._to_sign = self._to_sign, []
        for application, prepared, signer in to_sign:
            try:
                record = finish(prepared, signer, _applicant(application))
            except Exception as error:  # a signer may raise anything; the others get their certificates
                self._lose(application, None, _text(error), self._failed(error, application.asked), following)
            else:
                self._add_issued(application, record, following)

    def _consider(self, application: Application, step: Step) -> None:
        try:
            refused = self._decide(application, step)
        except Exception as error:  # of this application alone, unless the ledger has failed
            if self._ledger.failed:
                raise
            refused = self._failed(error, application.asked)
        if refused is not None:
            self._refuse(application, refused, step)

    def _decide(self, application: Application, step: Step) -> ErrorReply | None:
        """Send the stored certificates, intend new ones, or wait; return why nothing of that can be done."""
        request, chip_serial = application.request, application.chip_serial
        removed = removed_since(self._stations, application.asked)  # while it waited for another
        if removed is not None:
            return removed
        if chip_serial in self._in_progress:
            self._in_progress.wait(application)
            return None
        station = application.asked.station
        decision = self._rules.decide(request, chip_serial, step.known, self._in_progress, station)
        if isinstance(decision, ErrorReply):
            if request.existing_only and self._is_intended(chip_serial):
                self._in_progress.begin(application)
                self._look_again(application, step)
                return None
            return decision
        if isinstance(decision, StoredCertificate):
            self._send_again(application, decision, step)
            return None
        self._keep_named(request, step)
        earlier = step.known.of_chip(chip_serial)
        application.last_index = earlier[-1].index if earlier else NO_CERTIFICATE
        quick = next((signer for signer in decision if not signer.slow), None)
        if quick is None:
            self._in_progress.begin(application)
            assert self._slow_signers is not None, "a slow signer without its thread"
            waits = asker_of(station, application.asked.client)
            self._slow_signers.put(SigningJob(request, chip_serial, self._rules.group(request), waits))
            return None
        prepared = prepare(quick, request.public_key, chip_serial, self._clock.now(), request.unit)
        self._in_progress.begin(application)
        opened = functools.partial(self._to_sign.append, (application, prepared, quick))
        self._intend(application, prepared, quick, step, opened, lambda: None)
        return None

    def _is_intended(self, chip_serial: bytes) -> bool:
        """Tell whether another server of the ledger is certifying a chip: no one can say yet that it got nothing.

        A client whose server went away asks this one; on a wrong answer the chip would make another key.
        """
        return any(intent.chip_serial == chip_serial for intent in self._ledger.open_intents())

    def _intend(
        self,
        application: Application,
        prepared: Prepared,
        signer: Signer,
        step: Step,
        opened: Callable[[], None],
        refused: Callable[[], None],
    ) -> None:
        self._keep(signer.documents, step)
        application.intent = Intent(
            chip_serial=application.chip_serial,
            public_key=application.request.public_key,
            signer_serial=signer.serial,
            signer_key=signer.documents.signer_public_key,
            documents=signer.documents.document_id,
            time=prepared.time,
            unsigned=prepared.pending.unsigned,
            server=self._server,
            client=application.asked.client,
            last_index=application.last_index,
            origin=_origin(application),
        )

        def look_again() -> None:
            refused()
            self._look_again(application, step)

        step.add_intent(application.intent, opened, look_again)

    def _intend_slowly(self, application: Application, event: SigningBegins, step: Step) -> None:
        refusal = removed_since(self._stations, application.asked) or self._guard.admit(event.signer)
        if refusal is not None:
            event.permit.refuse()
            self._refuse(application, refusal, step)
            self._end(application)
            return
        doubt = self._clock.doubt(event.signer.documents)
        if doubt is not None:  # of another one of the group than was looked at before, or the clock was set meanwhile
            event.permit.refuse()
            self._refuse(application, doubt, step)
            self._end(application)
            return
        assert isinstance(event.prepared, Prepared)
        self._intend(application, event.prepared, event.signer, step, event.permit.grant, event.permit.refuse)

    def _take_signed(self, application: Application, event: Signed, step: Step) -> None:
        assert application.intent is not None
        assert isinstance(event.result, IssuedRecord)
        doubt = self._clock.doubt(event.signer.documents)
        try:
            for lost in self._guard.signed(event.signer, application.intent, event.before):
                step.add_event(lost)
        except AtcaProvError as error:
            if self._ledger.failed:
                raise
            doubt = self._guard.admit(event.signer) or rejections.rejection(error)
        if doubt is None:
            self._add_issued(application, _as_asked(event.result, application), step)
        else:  # the clock was set back while it signed, or the ledger is behind the signer
            self._lose(application, True, doubt.message, doubt, step)

    def _take_failed(self, application: Application, event: SigningFailed, step: Step) -> None:
        """Record that the signature is lost; then another signer of the group may do the job."""
        assert self._slow_signers is not None
        give_back = functools.partial(self._slow_signers.give_back, event.job)
        step.add_event(self._lost_intent(application, event.signed, event.reason), lambda _, __: give_back())

    def _look_again(self, application: Application, step: Step) -> None:
        """Decide again: another server issues for the chip or the key, or has just done so."""
        application.refusals += 1
        behind = self._in_progress.end(application)
        if application.refusals > OTHER_SERVER_TRIES:
            self._refuse(application, rejections.OTHER_SERVER, step)
        elif application.refusals == 1:
            self._again.append(application)
        else:
            self._later.append(application)
        self._again += behind

    def _add_issued(self, application: Application, record: IssuedRecord, step: Step) -> None:
        challenge = secrets.token_bytes(CHALLENGE_SIZE)
        documents = self._ledger.documents(record.documents)

        def written(index: int, _: TreeHead) -> None:
            step.issued.append(IssuedEntry(index, record, application.last_index == NO_CERTIFICATE))
            self._rules.promises.end(record.chip_serial)
            step.reply(application.asked, certificates_reply(record, documents, challenge))
            self._end(application)

        step.add_event(Issued(record, challenge), written)

    def _lose(
        self, application: Application, signed: bool | None, reason: str, refusal: ErrorReply, step: Step
    ) -> None:
        def written(_: int, __: TreeHead) -> None:
            self._refuse(application, refusal, step)
            self._end(application)

        step.add_event(self._lost_intent(application, signed, reason), written)

    def _lost_intent(self, application: Application, signed: bool | None, reason: str) -> Lost:
        assert application.intent is not None
        return Lost(application.intent, self._clock.now(), signed, reason)

    def _send_again(self, application: Application, stored: StoredCertificate, step: Step) -> None:
        asked, chip = application.asked, application.chip_serial
        again = f"{device_text(chip)} gets its stored certificates again{by_text(asked.asker, asked.request_id)}."
        self._log.info(asked.event("sent-again", again, chip=chip))
        self._sent_again[stored.index] += 1
        documents = self._ledger.documents(stored.record.documents)
        if self._sent_again[stored.index] > CHALLENGES_MAX:
            step.reply(application.asked, certificates_reply(stored.record, documents))
            return
        challenge = secrets.token_bytes(CHALLENGE_SIZE)
        step.add_challenge(
            GivenChallenge(challenge, stored.index, self._clock.now()),
            functools.partial(step.reply, application.asked, certificates_reply(stored.record, documents, challenge)),
        )

    def _keep_named(self, request: CertificatesRequest, step: Step) -> None:
        """Keep the documents of the signer that a client names: another one of its group may sign.

        So its group is known after a restart, too.
        """
        named = self._signers.documents_of(request.signer_public_key)
        if request.any_of_group and named is not None:
            self._keep(named, step)

    def _keep(self, documents: SignerDocuments, step: Step) -> None:
        if documents.document_id not in self._kept:
            self._kept.add(documents.document_id)
            step.add_documents(documents)

    def _end(self, application: Application) -> None:
        self._again += self._in_progress.end(application)

    def _refuse(self, application: Application, refusal: ErrorReply, step: Step) -> None:
        asked, chip = application.asked, application.chip_serial
        by = by_text(asked.asker, asked.request_id)
        text = f"{device_text(chip)} refused, {refusal.code}{by}: {refusal.message}"
        self._log.info(asked.event("refused", text, chip=chip, code=refusal.code))
        step.reply(asked, refusal)

    def _failed(self, error: Exception, asked: ClientRequest) -> ErrorReply:
        self._log.error(asked.event("failed", f"A request failed{by_text('', asked.request_id)}: {_text(error)}"))
        return rejections.INTERNAL


def _as_asked(record: IssuedRecord, application: Application) -> IssuedRecord:
    """Add to a record of a slow signer, which does not know it, who asked."""
    asked = _applicant(application)
    return replace(
        record,
        client=asked.client,
        revision=asked.revision,
        config_revision=asked.config_revision,
        origin=asked.origin,
    )


def _applicant(application: Application) -> Applicant:
    request = application.request
    revision = request.revision.to_bytes(REVISION_SIZE, "big") if request.revision else b""
    return Applicant(application.asked.client, revision, request.config_zone[REVISION], _origin(application))


def _origin(application: Application) -> Origin:
    request = application.request
    return Origin(
        application.asked.station, request.order, request.product, request.unit, request.label, request.request_id
    )


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, AtcaProvError) else repr(error)
