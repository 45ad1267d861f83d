"""The health check at `/health`, for load balancers and monitoring: can this server issue now?

It needs no login and tells nothing secret: a word, and the code of what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.errors import Code
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.operations.standing_warnings import StandingWarning
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.registry import SignerRegistry


@dataclass(frozen=True, slots=True)
class Health:
    """`status` is `ok`, `degraded` if it issues though something is wrong, or `failing` if it issues nothing."""

    status: str
    code: str = ""

    @property
    def http_status(self) -> int:
        """Return 200 for a server that issues, 503 for one that does not."""
        return 503 if self.status == _FAILING else 200


_FAILING: Final = "failing"
_OK: Final = Health("ok")


def notice(health: Health) -> str:
    """Return what the page says above the signers; what holds for one of them stands on its card."""
    if health.code == Code.RECORDS_FAILED:
        return "The ledger has failed: nothing is issued until the server is started again."
    if health.code == Code.FILE_UNWRITABLE:
        return "The signing log and the certificate files cannot be written; the ledger has everything."
    return ""


class HealthCheck:
    """Looks at the ledger, the clock, the signers, and at the warnings that stand."""

    def __init__(
        self,
        signers: SignerRegistry,
        trouble: Callable[[SignerDocuments | None], ErrorReply | None],
        warnings: Callable[[], Sequence[StandingWarning]] = tuple,
    ) -> None:
        """`trouble` says why a signer issues nothing though it is ready, and for None why none does."""
        self.warnings: Final = warnings
        self._signers = signers
        self._trouble = trouble

    def look(self) -> Health:
        """Return how it is now."""
        trouble = self._trouble(None) or self._trouble_of_signers()
        if trouble is not None:
            return Health(_FAILING, trouble.code)
        first = next((warning for warning in self.warnings() if warning.degrades), None)
        return _OK if first is None else Health("degraded", first.code)

    def _trouble_of_signers(self) -> ErrorReply | None:
        """Return why no signer issues; None if one does."""
        troubles = [
            entry.trouble
            or (self._trouble(entry.signer.documents) if entry.signer.ready else rejections.SIGNER_NOT_READY)
            for entry in self._signers.entries()
        ]
        return None if None in troubles else next(iter(troubles), rejections.SIGNER_UNPLUGGED)
