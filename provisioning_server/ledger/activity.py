"""What a range of entries says, for those who count: certificates by hour and signer, runs by their fate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


class IssuedInHour(NamedTuple):
    """How many certificates a signer (serial number, 9 bytes) made in an hour, counted from 1970 (UTC)."""

    hour: int
    signer_serial: bytes
    number: int


class ReportedRun(NamedTuple):
    """A reported run: the hour in which its report came, the fate of the board, the code of its error."""

    hour: int
    fate: str
    code: str


@dataclass(frozen=True, slots=True)
class LedgerActivity:
    """What happened."""

    issued: tuple[IssuedInHour, ...] = ()
    runs: tuple[ReportedRun, ...] = ()
    last_of_station: tuple[tuple[str, datetime], ...] = ()
    """When each station asked last for a certificate (UTC)."""
