"""How many certificates a ledger has of each signer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class SignerSummary:
    """The certificates of a signer: how many, how many with a proof, when the first and the last were issued.

    `signer_serial` 9 bytes; `signer_name` is that of the newest one in the log.
    """

    signer_serial: bytes
    signer_name: str
    certificates: int
    proven: int
    first: datetime
    last: datetime
