"""Checkpoints of a ledger's log, signed on demand."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from atcaprov.errors import Code, UsageError
from atcaprov.transparency.checkpoint import Checkpoint, SignedCheckpoint
from atcaprov.transparency.ledger_checkpoint import LogOrigin
from atcaprov.transparency.verifier_keys import NoteSigner, VerifierKey
from provisioning_server.audit.log_key import LogKey
from provisioning_server.ledger.store import Ledger, LogIdentity, TreeHead

_SLOW_PAUSE: Final = 10.0
"""Seconds between two signatures of a slow key for replies."""


def origin_of(identity: LogIdentity) -> str:
    """Return the first line of a log's checkpoints: `atcaprov.ledger/<ledger id>/<epoch>`."""
    return str(LogOrigin(identity.ledger_id, identity.epoch))


def of_one_ledger(origin: str, other: str) -> bool:
    """Tell whether two origins are of one ledger, in whichever epochs."""
    try:
        return LogOrigin.parse(origin).ledger_id == LogOrigin.parse(other).ledger_id
    except UsageError:
        return False


class LogSigner:
    """Signs the newest committed head of a ledger. The same head gets the same checkpoint without a new signature.

    Used by several threads. One signs at a time: a chip does one thing at a time, and no one gets an older checkpoint
    than another one has got before.
    """

    def __init__(self, ledger: Ledger, key: LogKey, now: Callable[[], float] = time.monotonic) -> None:
        """Check that the key is the ledger's, which becomes so if it has none.

        Raises:
            UsageError: LOG_KEY_OTHER if the ledger has another key.
            AtcaProvError: RECORDS_FAILED.
        """
        self._ledger = ledger
        self._key = key
        self._now = now
        self._signed_at = 0.0
        self._signing = threading.RLock()
        self._signer: tuple[LogIdentity, NoteSigner] | None = None
        self._last: tuple[LogIdentity, TreeHead, SignedCheckpoint] | None = None
        own = self.verifier_key.encoded
        if (ledger.log_key() or ledger.claim_log_key(own)) != own:
            raise UsageError(
                "The key of this server's log is not the key with which this ledger's checkpoints are signed.",
                advice="Copy log-key.pem from a server on the same ledger, or from a backup of the data folder.",
                code=Code.LOG_KEY_OTHER,
            )

    @property
    def verifier_key(self) -> VerifierKey:
        """Return the public key, as others need it to check the log in its present epoch."""
        return self._signer_of(self._ledger.identity).key

    def checkpoint(self) -> SignedCheckpoint:
        """Return the signed checkpoint of the newest committed head; raises AtcaProvError as the ledger."""
        with self._signing:
            identity, head = self._head()
            if self._last is None or self._last[:2] != (identity, head):
                signer = self._signer_of(identity)
                signed = Checkpoint(signer.key.name, head.size, head.root).signed_by(signer)
                self._last = (identity, head, signed)
                self._signed_at = self._now()
            return self._last[2]

    def recent(self) -> SignedCheckpoint:
        """Return a checkpoint for a reply: of the newest head, or of one some seconds ago if the key is slow.

        So a chip that signs the checkpoints holds up no board. Raises as `checkpoint`, and what the chip raises.
        """
        with self._signing:
            if self._key.slow and self._last is not None and self._now() - self._signed_at < _SLOW_PAUSE:
                return self._last[2]
            return self.checkpoint()

    def seen(self) -> SignedCheckpoint:
        """Return the checkpoint of the newest head that was seen, also of a ledger that has failed since."""
        assert self._signer is not None, "the key was compared with the ledger's before"
        head, (_, signer) = self._ledger.seen, self._signer
        return Checkpoint(signer.key.name, head.size, head.root).signed_by(signer)

    def _signer_of(self, identity: LogIdentity) -> NoteSigner:
        """Return the key under the name of the log in an epoch; the last one is kept."""
        if self._signer is None or self._signer[0] != identity:
            self._signer = (identity, self._key.signer(origin_of(identity)))
        return self._signer[1]

    def _head(self) -> tuple[LogIdentity, TreeHead]:
        """Return a head with the epoch that it belongs to, which another server may end meanwhile."""
        while True:
            identity = self._ledger.identity
            head = self._ledger.head()
            if self._ledger.identity == identity:
                return identity, head


def verifier_key_of(ledger: Ledger) -> VerifierKey | None:
    """Return the public key that a ledger keeps of its log, None if no checkpoint was ever signed."""
    public = ledger.log_key()
    return VerifierKey.from_parts(origin_of(ledger.identity), public) if public else None
