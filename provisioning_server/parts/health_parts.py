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
    health = HealthCheck(
        context.signers, trouble, lambda: context.writer.trouble, lambda: deadline.sentence, lambda: alarm.sentence
    )
    return HealthParts(deadline, alarm, overview, health, Readiness(lambda: _failing(health)))


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
