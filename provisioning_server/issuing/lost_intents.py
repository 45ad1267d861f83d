"""Intents of earlier starts without a result: what was going to be signed when the server ended.

Whether it was signed cannot be known here. The counter of a signer that has one tells it when the signer is compared
with the ledger.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from atcaprov.errors import Code, UsageError
from atcaprov.log import Log
from provisioning_server.ledger.changes import Changes, Lost
from provisioning_server.ledger.store import Ledger
from provisioning_server.log_names import device_text
from provisioning_server.rejections import moment

_REASON: Final = "the server ended before it had a result"


def claim_name(ledger: Ledger, server: str) -> None:
    """Take the name of this server; raises UsageError LEDGER_IN_USE if another program has it."""
    if not ledger.claim(server, wait=True):
        raise UsageError(
            f"Another program has the ledger open as the server {server}.",
            advice="Give each server a data folder of its own: a copied one has the same name. If this server was cut"
            " off just now, start it again in half a minute.",
            code=Code.LEDGER_IN_USE,
        )


def close_abandoned(ledger: Ledger, own: str, wanted: Collection[bytes], now: datetime, log: Log) -> None:
    """Close the open intents of other servers that have ended, where chips or keys among `wanted` wait for them.

    A server that runs holds its name, and so does another one that closes its intents at this moment.
    """
    waited_for = {
        intent.server
        for intent in ledger.open_intents()
        if intent.server != own and (intent.chip_serial in wanted or intent.public_key in wanted)
    }
    for server in sorted(waited_for):
        if ledger.claim(server):
            ledger.commit(Changes(events=[*lost_intents(ledger, server, now, log)]))
            ledger.release(server)


def lost_intents(ledger: Ledger, server: str | None, now: datetime, log: Log) -> list[Lost]:
    """Log each open intent that a server has left, None: any, and return their ends, which are to be recorded."""
    lost = [Lost(intent, now, None, _REASON) for intent in ledger.open_intents(server)]
    for intent in (each.intent for each in lost):
        if intent.crl_number:
            log.warning(
                f"Signer {intent.signer_serial.hex().upper()} was signing CRL {intent.crl_number} on"
                f" {moment(intent.time)} when the server ended. If it was signed, it was not published."
            )
            continue
        log.warning(
            f"{device_text(intent.chip_serial)} was being certified on {moment(intent.time)} when the server ended, and"
            " got nothing. If it asks again, it gets a certificate."
        )
    return lost
