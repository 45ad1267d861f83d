"""Whether a ledger has everything that it should have: by a signer's counter, and by a checkpoint of it. No I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from atcaprov.transparency.ledger_checkpoint import LedgerCheckpoint
from provisioning_server.ledger.changes import CounterSeen, LossesSettled
from provisioning_server.ledger.store import LogIdentity, SignerTally, TreeHead
from provisioning_server.signers.signer import SignatureCounter

SIGNATURES_OF_AN_INTENT: Final = 2
"""A module is asked once more after a damaged answer; either signature counts."""
NOTHING_YET: Final = SignerTally(0, 0, 0, 0, b"", None)
"""Of a signer that a ledger does not know."""


@dataclass(frozen=True, slots=True)
class CounterComparison:
    """A signer's counter beside the ledger.

    `used` is how many signatures the signer has made, `recorded` how many of them the ledger has; up to `possible` more
    may have been lost on their way.
    """

    used: int
    recorded: int
    possible: int

    @property
    def extra(self) -> int:
        """Return how many signatures the ledger does not have; negative if it has too many."""
        return self.used - self.recorded

    @property
    def ledger_is_behind(self) -> bool:
        """Return whether the signer has made more than losses can explain."""
        return self.extra > self.possible

    @property
    def counter_is_behind(self) -> bool:
        """Return whether the signer has made fewer than the ledger has: then it is not the one that made them."""
        return self.extra < 0


def first_seen(
    serial: bytes, counter: SignatureCounter, tally: SignerTally | None, time: datetime
) -> CounterSeen | None:
    """Return what to record of a signer (9 bytes) that does not tell where its counter began; None if that is known."""
    tally = tally or NOTHING_YET
    if counter.first is not None or tally.first is not None:
        return None
    return CounterSeen(time, serial, counter.value, max(counter.value - tally.signatures, 0))


def compare_counter(
    counter: SignatureCounter, tally: SignerTally | None, open_intents: int, *, first: int = 0
) -> CounterComparison:
    """Compare a signer's counter with the ledger, in which `open_intents` certificates of it are not done.

    `first` is where the counter began if neither the signer nor the ledger tells.
    """
    tally = tally or NOTHING_YET
    began = counter.first if counter.first is not None else tally.first
    used = counter.value - (first if began is None else began)
    return CounterComparison(used, tally.signatures, SIGNATURES_OF_AN_INTENT * (tally.unsure + open_intents))


def settled_losses(
    serial: bytes, compared: CounterComparison, tally: SignerTally | None, open_intents: int, time: datetime
) -> LossesSettled | None:
    """Return what the counter of a signer (9 bytes) says about its losses; None if there is nothing to say.

    While an intent is open, by another server on the same ledger, no one can tell whose signature it was.
    """
    if tally is None or not tally.unsure or open_intents:
        return None
    return LossesSettled(time, serial, tally.unsure, compared.extra)


def why_behind(checkpoint: LedgerCheckpoint, log: LogIdentity, head: TreeHead, root_of: Callable[[int], bytes]) -> str:
    """Return why a ledger is not the one of a checkpoint, or lacks some of its entries; empty if it has them all.

    `root_of` gives the root of the ledger's log at a size. A checkpoint of an earlier epoch was given up when a
    rollback was accepted, and counts no more.
    """
    if checkpoint.origin.ledger_id != log.ledger_id:
        return f"it is another ledger, {log.ledger_id.hex()}, not {checkpoint.origin.ledger_id.hex()}"
    if checkpoint.origin.epoch < log.epoch:
        return ""
    if checkpoint.origin.epoch > log.epoch:
        return f"it is in epoch {log.epoch}, and was in epoch {checkpoint.origin.epoch}"
    if checkpoint.size > head.size:
        return f"it has {head.size} entries, and had {checkpoint.size}"
    if root_of(checkpoint.size) != checkpoint.root:
        return f"its first {checkpoint.size} entries are not those that it had"
    return ""
