"""Intents of earlier starts without a result: what was going to be signed when the server ended.

Whether it was signed cannot be known here. The counter of a signer that has one tells it when the signer is compared
with the ledger.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from atcaprov.log import Log
from provisioning_server.ledger.changes import Lost
from provisioning_server.ledger.store import Ledger
from provisioning_server.log_names import device_text
from provisioning_server.rejections import moment

_REASON: Final = "the server ended before it had a result"


def lost_intents(ledger: Ledger, server: str, now: datetime, log: Log) -> list[Lost]:
    """Log each open intent that a server has left, and return their ends, which are to be recorded."""
    lost = [Lost(intent, now, None, _REASON) for intent in ledger.open_intents(server)]
    for intent in (each.intent for each in lost):
        log.warning(
            f"{device_text(intent.chip_serial)} was being certified on {moment(intent.time)} when the server ended, and"
            " got nothing. If it asks again, it gets a certificate."
        )
    return lost
