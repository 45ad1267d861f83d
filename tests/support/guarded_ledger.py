"""A server's ledger with its guard, without sockets: restarted, copied, and put back; signers that count."""

from __future__ import annotations

import shutil
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from atcaprov.transparency.checkpoint import Checkpoint
from atcaprov.transparency.ledger_checkpoint import LedgerCheckpoint, LogOrigin
from atcaprov.transparency.verifier_keys import Ed25519Signer
from provisioning_server.issuing.rollback_guard import RollbackGuard
from provisioning_server.ledger.accept_rollback import accept_rollback
from provisioning_server.ledger.changes import RollbackAccepted
from provisioning_server.ledger.checkpoint_file import CheckpointFile
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.rollback_notes import RollbackFile
from provisioning_server.signers.signer import SignatureCounter
from tests.provisioning_server.ledger.events import NOW, SIGNER
from tests.support.in_memory_signer import MemorySigner
from tests.support.server_parts import RememberingLog

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(32))
FOREIGN = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


class CountingSigner(MemorySigner):
    """The signer of the entries, with a counter that stands somewhere."""

    slow = True

    def __init__(self, value: int, first: int | None = 0) -> None:
        super().__init__()
        self.serial = SIGNER.serial
        self.counter = SignatureCounter(value, first)


class GuardedLedger:
    """A ledger in a data folder, and its guard."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log = RememberingLog()
        self.ledger = open_ledger(data / FILE_NAME, NOW)
        self.file = RollbackFile(data)
        self.own = CheckpointFile(data)
        self.guard = RollbackGuard(self.ledger, self.file, verified, self.log, lambda: NOW)

    def start(self) -> RollbackGuard:
        self.guard.start(self.own)
        return self.guard

    def checkpoint(self) -> bytes:
        """Return the signed checkpoint of the ledger as it is."""
        origin, head = LogOrigin(self.ledger.identity.ledger_id, self.ledger.identity.epoch), self.ledger.head()
        return note(origin, head.size, head.root)

    def again(self) -> GuardedLedger:
        """Restart it."""
        self.ledger.close()
        return GuardedLedger(self.data)

    def saved(self, to: Path) -> Path:
        """Copy the ledger as it is now."""
        self.ledger.close()
        shutil.copy(self.data / FILE_NAME, to)
        self.ledger = open_ledger(self.data / FILE_NAME, NOW)
        self.guard = RollbackGuard(self.ledger, self.file, verified, self.log, lambda: NOW)
        return to

    def restored(self, copy: Path) -> GuardedLedger:
        """Put a copy of the ledger in its place and restart it."""
        self.ledger.close()
        for path in self.data.glob(f"{FILE_NAME}*"):
            path.unlink()
        shutil.copy(copy, self.data / FILE_NAME)
        return GuardedLedger(self.data)

    def accepts(self, signer: bytes | None = None, reason: str = "restored") -> list[RollbackAccepted]:
        accepted, left = accept_rollback(self.ledger, self.file.read(), signer, reason, NOW)
        self.file.write(left)
        return accepted


def note(origin: LogOrigin, size: int, root: bytes, private: Ed25519PrivateKey = PRIVATE) -> bytes:
    return Checkpoint(str(origin), size, root).signed_by(Ed25519Signer(str(origin), private)).to_bytes()


def verified(data: bytes) -> LedgerCheckpoint:
    return LedgerCheckpoint.verified(data, Ed25519Signer("log", PRIVATE).key)
