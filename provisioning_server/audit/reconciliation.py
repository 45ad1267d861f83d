"""Do the numbers meet? Chips that came in with what became of them, certificates with the counters of their signers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from atcaprov.errors import Board
from provisioning_server.ledger.store import SignerTally


@dataclass(frozen=True, slots=True)
class ChipCount:
    """Chips with a certificate, by the fate that was reported last; `open` are all that are neither good nor scrap.

    `delivered` is how many chips were delivered, if someone counted them.
    """

    fates: Mapping[str, int]
    delivered: int | None = None

    @property
    def certified(self) -> int:
        """Return how many chips have a certificate."""
        return sum(self.fates.values())

    @property
    def good(self) -> int:
        """Return how many were reported good."""
        return self.fates.get(Board.GOOD, 0)

    @property
    def scrap(self) -> int:
        """Return how many were reported as scrap."""
        return self.fates.get(Board.SCRAP, 0)

    @property
    def open(self) -> int:
        """Return how many were set aside, are to be tried again, or were never reported."""
        return self.certified - self.good - self.scrap

    @property
    def unseen(self) -> int | None:
        """Return how many of the delivered chips never got a certificate; negative if too many did."""
        return None if self.delivered is None else self.delivered - self.certified


@dataclass(frozen=True, slots=True)
class SignerCount:
    """What the ledger has of a signer, and where its counter stands, if someone read it.

    `first` is where the counter stood when the signer was made; None if neither the signer nor the ledger tells.
    """

    signer_serial: bytes
    name: str
    tally: SignerTally
    counter: int | None = None
    first: int | None = None

    @property
    def expected(self) -> int | None:
        """Return where the counter should stand; None if its beginning is unknown."""
        first = self.tally.first if self.first is None else self.first
        return None if first is None else first + self.tally.signatures

    @property
    def difference(self) -> int | None:
        """Return how many signatures of the counter are not in the ledger; None if that cannot be told."""
        if self.counter is None or self.expected is None:
            return None
        return self.counter - self.expected

    @property
    def meets(self) -> bool:
        """Return whether the numbers meet, or nothing says that they do not."""
        difference = self.difference
        return difference is None or 0 <= difference <= self.tally.unsure
