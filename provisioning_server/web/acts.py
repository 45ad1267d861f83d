"""What an administrator does on a page: the same functions as the commands, with who did it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from atcaprov.errors import AtcaProvError, Code
from atcaprov.log import Log
from atcaprov.terminal.printable import printable
from provisioning_server.ledger.store import StoredCertificate
from provisioning_server.revocation.reasons import read_reason
from provisioning_server.revocation.revoke import REVOKE, RevocationOrder
from provisioning_server.revocation.selection import Chosen, Selection

NOTE_MAX: Final = 200
RunCommand = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Runs a command of the control channel in this server; raises AtcaProvError."""


async def no_commands(command: str, _: dict[str, Any]) -> dict[str, Any]:
    """Know no command."""
    raise AtcaProvError(f"This server does not know the command {command}.", code=Code.REQUEST_INVALID)


class Acts:
    """Runs them, and logs each with who asked for it."""

    def __init__(self, run: RunCommand, log: Log) -> None:
        self._run = run
        self._log = log

    async def remove_station(self, station: str, note: str, who: str) -> None:
        """Remove a station; raises AtcaProvError."""
        await self._do("station-remove", {"name": station, "reason": _note(note), "by": who})

    async def close_order(self, order: str, note: str, who: str) -> None:
        """Close a work order; raises AtcaProvError."""
        await self._do("order-close", {"order": order, "reason": _note(note), "by": who})

    async def revoke(self, stored: StoredCertificate, reason: str, note: str, who: str) -> None:
        """Revoke one certificate; raises AtcaProvError, also when the ledger has another one of its number by now."""
        selection = Selection(serial=stored.record.certificate_serial, signer=stored.record.signer_serial)
        order = RevocationOrder(selection, read_reason(reason), Chosen((stored,), ()).digest, _note(note))
        await self._do(REVOKE, {**order.to_json(), "by": who})

    async def _do(self, command: str, arguments: dict[str, Any]) -> None:
        self._log.info(f"{command} was asked for by {arguments['by']}.")
        await self._run(command, arguments)


def _note(text: str) -> str:
    return printable(text.strip())[:NOTE_MAX]
