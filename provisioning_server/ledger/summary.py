"""How many certificates a ledger has of each signer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SignerSummary:
    """The certificates of a signer: how many, how many with a proof, when the first and the last were issued.

    `signer_serial` 9 bytes; `newest` is the log index of the newest one, `signer_name` the name in it.
    """

    signer_serial: bytes
    signer_name: str
    certificates: int
    proven: int
    first: datetime
    last: datetime
    newest: int
