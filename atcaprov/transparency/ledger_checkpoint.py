"""Checkpoints of a ledger: which log they are of, and which of two is newer.

The origin of a log is `atcaprov.ledger/<id>/<epoch>`: 32 hex digits, and a number from 1 that grows with each rollback
that was accepted. So no origin ever has two histories. The key that signs it has the origin as its name.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final, Self

from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.line_fields import malformed
from atcaprov.transparency.merkle import MAX_SIZE
from atcaprov.transparency.verifier_keys import VerifierKey

_ORIGIN: Final = re.compile(r"atcaprov\.ledger/([0-9a-f]{32})/([1-9][0-9]{0,17})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class LogOrigin:
    """Which log: the id of its ledger (16 bytes) and the epoch."""

    ledger_id: bytes
    epoch: int

    def __str__(self) -> str:
        return f"atcaprov.ledger/{self.ledger_id.hex()}/{self.epoch}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an origin; raises UsageError (LOG_INVALID) if it is not that of a ledger."""
        found = _ORIGIN.match(text)
        if found is None:
            raise malformed("The origin of a checkpoint is not that of a ledger.")
        return cls(bytes.fromhex(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class LedgerIdentity:
    """Which ledger: its id (16 bytes), and the public key that signs its log, in every epoch."""

    ledger_id: bytes
    public_key: bytes

    @classmethod
    def proved(cls, note: bytes, log_key: bytes) -> Self:
        """Return the ledger of a signed checkpoint, by the log key (text) that came with it.

        Raises UsageError (LOG_INVALID, LOG_MISMATCH) if the note is not a checkpoint, or that key has not signed it.
        """
        key = VerifierKey.parse(log_key.decode("utf-8", "replace"))
        return cls(LedgerCheckpoint.verified(note, key).origin.ledger_id, key.public_key)


class Relation(enum.Enum):
    """How a checkpoint stands to another one that is known."""

    SAME = enum.auto()
    NEWER = enum.auto()
    OLDER = enum.auto()
    FORKED = enum.auto()
    """As many entries of the same epoch, and not the same ones."""
    OTHER_LEDGER = enum.auto()


@dataclass(frozen=True, slots=True)
class LedgerCheckpoint:
    """A checkpoint whose signature was verified: the log, its size and root (32 bytes), and the note as it came."""

    origin: LogOrigin
    size: int
    root: bytes
    note: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise malformed("The size of a checkpoint is out of range.")

    @classmethod
    def verified(cls, note: bytes, key: VerifierKey) -> Self:
        """Read a signed note. Of the key only its type and public key count: its name changes with the epoch.

        Raises:
            UsageError: LOG_INVALID if it is not a checkpoint of a ledger, LOG_MISMATCH if the key has not signed it.
        """
        signed = SignedCheckpoint.parse(note)
        found = signed.checkpoint
        origin = LogOrigin.parse(found.origin)
        signed.verify(VerifierKey(str(origin), key.type, key.public_key))
        return cls(origin, found.size, found.root, note)

    def relation_to(self, known: LedgerCheckpoint) -> Relation:
        """Return how it stands to a known one. The entries before a newer one cannot be compared without a proof."""
        if self.origin.ledger_id != known.origin.ledger_id:
            return Relation.OTHER_LEDGER
        mine, theirs = (self.origin.epoch, self.size), (known.origin.epoch, known.size)
        if mine != theirs:
            return Relation.NEWER if mine > theirs else Relation.OLDER
        return Relation.SAME if self.root == known.root else Relation.FORKED
