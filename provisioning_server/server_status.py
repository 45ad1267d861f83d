"""What `provisioning-server status` tells of a running server: one object for people and programs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Any

from atcaprov.errors import AtcaProvError
from atcaprov.program.console_text import counted
from atcaprov.program.process_hardening import memory_is_locked
from provisioning_server.ledger.store import Ledger, WorkOrder
from provisioning_server.log_names import time_text
from provisioning_server.operations.readiness import Readiness
from provisioning_server.signers.registry import RegistryEntry, SignerRegistry
from provisioning_server.signers.signer_warnings import signer_warnings
from provisioning_server.web.health import HealthCheck

Section = Callable[[], Any]
"""Returns a part of the status that JSON can carry; in any thread."""


@dataclass(frozen=True, slots=True)
class StatusSources:
    """Where the status is read.

    `clients` returns the addresses of those that are connected, `stations` the names of stations that are; `warnings`
    returns sentences about what someone should look at.
    """

    signers: SignerRegistry
    ledger: Ledger
    health: HealthCheck
    readiness: Readiness
    clients: Callable[[], Sequence[str]]
    stations: Callable[[], Collection[str]] = tuple
    warnings: Callable[[], Sequence[str]] = tuple


class ServerStatus:
    """Collects the status. `add` gives it a further section, which another part of the server knows.

    `addresses` are those of the port for clients, `web` is the address of the page, as soon as they are known.
    """

    def __init__(self, sources: StatusSources, now: Callable[[], datetime]) -> None:
        self._sources = sources
        self._now = now
        self._since = now()
        self.addresses: list[str] = []
        self.web = ""
        self._sections: dict[str, Section] = {}

    def add(self, name: str, section: Section) -> None:
        """Show a further section under a name; one that raises AtcaProvError is shown as its error."""
        self._sections[name] = section

    async def answer(self, _: dict[str, Any]) -> dict[str, Any]:
        """Answer the command `status`."""
        sources = self._sources
        health = sources.health.look()
        at_once = {
            "running": True,
            "version": version("atcaprov"),
            "since": time_text(self._since),
            "health": health.status,
            "code": health.code,
            "ready": not (why := sources.readiness.look().why),
            "not_ready": why,
            "memory_locked": memory_is_locked(),
            "addresses": self.addresses,
            "web": self.web,
            "signers": [_signer(entry, self._now()) for entry in sources.signers.entries()],
            "warnings": list(sources.warnings()),
            "clients": list(sources.clients()),
        }
        return at_once | await asyncio.to_thread(self._read, set(sources.stations()))

    def line(self) -> str:
        """Return the status in a line, for `systemctl status`."""
        sources = self._sources
        entries = sources.signers.entries()
        ready = sum(entry.trouble is None and entry.signer.ready for entry in entries)
        why = sources.readiness.look().why
        phase = f"Not ready: {why}" if why else "Ready"
        clients = counted(len(sources.clients()), "client")
        return f"{phase}. {ready} of {counted(len(entries), 'signer')} ready, {clients} connected."

    def _read(self, connected: Collection[str]) -> dict[str, Any]:
        """Return what is read from the disk."""
        ledger = self._sources.ledger
        sections: Mapping[str, Section] = {
            "stations": lambda: _stations(ledger, connected),
            "orders": lambda: _orders(ledger),
            "ledger": lambda: ledger_status(ledger),
            **self._sections,
        }
        return {name: _shown(section) for name, section in sections.items()}


def ledger_status(ledger: Ledger) -> dict[str, Any]:
    """Return the section of a ledger, also of one that no server has open."""
    head = ledger.head()
    identity = ledger.identity
    return {
        "ledger_id": identity.ledger_id.hex(),
        "epoch": identity.epoch,
        "entries": head.size,
        "root": head.root.hex(),
        "open_intents": len(ledger.open_intents()),
        "newest": None if ledger.newest is None else time_text(ledger.newest),
    }


def _shown(section: Section) -> Any:
    try:
        return section()
    except AtcaProvError as error:
        return {"error": error.code, "what": error.what}


def _stations(ledger: Ledger, connected: Collection[str]) -> list[dict[str, Any]]:
    admitted = {each.admitted.station for each in ledger.administered.stations() if each.removed is None}
    return [{"name": name, "connected": name in connected} for name in sorted(admitted)]


def _orders(ledger: Ledger) -> list[dict[str, Any]]:
    return [_order(each) for each in ledger.administered.orders() if each.closed is None]


def _order(order: WorkOrder) -> dict[str, Any]:
    opened = order.opened
    return {
        "name": opened.order,
        "product": opened.product,
        "issued": order.issued,
        "left": opened.count - order.issued if opened.count else None,
        "ends": None if opened.ends is None else time_text(opened.ends),
    }


def _signer(entry: RegistryEntry, now: datetime) -> dict[str, Any]:
    signer = entry.signer
    return {
        "serial": signer.serial.hex().upper(),
        "name": signer.name,
        "state": _state(entry),
        "quota_left": signer.remaining,
        "quota_low": signer.quota_low,
        "why": entry.reason or (entry.trouble.message if entry.trouble else ""),
        "warnings": signer_warnings(signer, now),
    }


def _state(entry: RegistryEntry) -> str:
    if entry.trouble is not None:
        return entry.trouble.code
    return "ready" if entry.signer.ready else "waits-for-password"
