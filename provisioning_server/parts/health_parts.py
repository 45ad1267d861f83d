"""What tells people and programs how the server is: cards of signers, the health check, late proofs."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from atcaprov.errors import AtcaProvError, Code
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.issuing.proof_deadline import ProofDeadline
from provisioning_server.ledger.store import Ledger, SignerTally
from provisioning_server.operations.readiness import Readiness
from provisioning_server.operations.standing_warnings import StandingWarnings, Subject
from provisioning_server.orders.quota_alarm import QuotaAlarm
from provisioning_server.parts.context import ServerContext
from provisioning_server.parts.signer_parts import SignerParts
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.web.health import HealthCheck
from provisioning_server.web.views import SignerOverview


@dataclass(frozen=True, slots=True)
class HealthParts:
    """What watches for late proofs, the cards of the page, and the health check."""

    deadline: ProofDeadline
    alarm: QuotaAlarm
    overview: SignerOverview
    health: HealthCheck
    readiness: Readiness
    warnings: StandingWarnings
    """Where further parts say what someone should look at."""

    async def ready_when(self, signers: SignerParts) -> None:
        """Note that the server has started, as soon as each signer was opened or refused once."""
        await signers.watcher.looked_at_first()
        self.readiness.started()


def health_parts(context: ServerContext, signers: SignerParts, deadline: ProofDeadline) -> HealthParts:
    """Build them; `deadline` watches for late proofs."""
    trouble = functools.partial(_trouble, context)
    overview = SignerOverview(
        context.signers,
        signers.lifecycle.unlock_service,
        functools.partial(_tally, context.ledger),
        signers.watcher.unusable,
        trouble,
        lambda: deadline.sentence,
    )
    alarm = QuotaAlarm(
        context.settings.quota_alarm,
        lambda: context.signers,
        context.ledger.administered.orders,
        context.now,
        context.log,
    )
    warnings = _warnings(context, deadline, alarm)
    health = HealthCheck(context.signers, trouble, warnings.now)
    return HealthParts(deadline, alarm, overview, health, Readiness(lambda: _failing(health)), warnings)


def _warnings(context: ServerContext, deadline: ProofDeadline, alarm: QuotaAlarm) -> StandingWarnings:
    """Return the list of warnings, the first of which is the one that the health check names."""
    warnings = StandingWarnings()
    warnings.add(Code.FILE_UNWRITABLE, Subject.RECORDS, lambda: [_files_behind(context.writer.trouble)])
    warnings.add(Code.PROOF_OVERDUE, Subject.CERTIFICATES, lambda: [deadline.sentence])
    warnings.add(Code.QUOTA_LOW, Subject.SIGNERS, lambda: alarm.sentences(orders=False))
    warnings.add(Code.QUOTA_LOW, Subject.ORDERS, lambda: alarm.sentences(orders=True))
    return warnings


def _files_behind(why: str) -> str:
    return why and f"The signing log and the certificate files cannot be written; the ledger has everything. {why}"


def _trouble(context: ServerContext, documents: SignerDocuments | None) -> ErrorReply | None:
    """Return why a signer that is ready issues nothing; without documents why none does."""
    try:
        if not context.ledger.has_room():
            return rejections.DISK_FULL
    except AtcaProvError as error:
        return rejections.LEDGER_BEHIND if error.code == Code.LEDGER_BEHIND else rejections.RECORDS_FAILED
    return rejections.LEDGER_BEHIND if context.watch.guard.is_behind else context.clock.doubt(documents)


def _failing(health: HealthCheck) -> str:
    found = health.look()
    return found.code if found.http_status != 200 else ""


def _tally(ledger: Ledger, signer_serial: bytes) -> SignerTally | None:
    """Return what the page shows of a signer; nothing of a ledger that has failed."""
    try:
        return ledger.tally(signer_serial)
    except AtcaProvError:
        return None
