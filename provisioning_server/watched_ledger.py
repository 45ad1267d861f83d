"""A ledger and what watches it: its log key, its newest checkpoint, and the guard against one that is behind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from atcaprov.log import Log
from atcaprov.transparency.ledger_checkpoint import LedgerCheckpoint
from provisioning_server.audit.log_key import LogKey
from provisioning_server.audit.log_signer import LogSigner
from provisioning_server.issuing.checkpoint_keeper import CheckpointKeeper
from provisioning_server.issuing.rollback_guard import RollbackGuard
from provisioning_server.ledger.checkpoint_file import CheckpointFile
from provisioning_server.ledger.rollback_notes import RollbackFile
from provisioning_server.ledger.store import Ledger
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.signers.registry import SignerRegistry


class LedgerWatch(NamedTuple):
    """The guard, which has looked at what earlier starts left, and the keeper of checkpoints, which has not begun."""

    guard: RollbackGuard
    keeper: CheckpointKeeper


def watch_ledger(
    ledger: Ledger, folder: DataFolder, key: LogKey, signers: SignerRegistry, log: Log, now: Callable[[], datetime]
) -> LedgerWatch:
    """Begin to watch a ledger, whose checkpoints `key` signs; a ledger that is behind is logged.

    Raises:
        UsageError: the key is not that of the ledger's log, or a file of the data folder is damaged.
        AtcaProvError: RECORDS_FAILED.
    """
    signer = LogSigner(ledger, key)

    def read(note: bytes) -> LedgerCheckpoint:
        return LedgerCheckpoint.verified(note, signer.verifier_key)

    own = CheckpointFile(folder.path)
    guard = RollbackGuard(ledger, RollbackFile(folder.path), read, log, now, signers.exclude)
    guard.start(own)
    return LedgerWatch(guard, CheckpointKeeper(signer, own, lambda: guard.is_behind, log))
