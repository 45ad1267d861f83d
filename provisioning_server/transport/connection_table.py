"""Which connection gives way when there are many, so that one computer, or a broken one, cannot shut out the others.

Up to three quarters of the table all are admitted. Above, an address that holds its share already gets another
connection only in place of its own that was idle longest; in a full table the address with the most gives up one. A
connection in the middle of a message, or that waits for a reply, never gives way.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from provisioning_server.transport.limits import ConnectionLimits

_IPV6_PREFIX = 64
"""Bits of an IPv6 address that name a network; one computer can have all addresses in it (RFC 4291, section 2.5.1)."""


class TrackedConnection(Protocol):
    """What the table needs to know of a connection."""

    @property
    def host(self) -> str:
        """The address at its other end, without the port."""

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for a message (seconds); None while it is busy."""

    @property
    def leaving(self) -> bool:
        """Return whether it was refused and stays open only to read the reason."""


AnyConnection = TypeVar("AnyConnection", bound=TrackedConnection)


class ConnectionTable(Generic[AnyConnection]):
    """The connections that are open. `admit` decides on each new one."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._connections: dict[AnyConnection, str] = {}  # with the computer at the other end

    def __iter__(self) -> Iterator[AnyConnection]:
        return iter(list(self._connections))

    def __len__(self) -> int:
        return len(self._connections)

    @property
    def too_many_leaving(self) -> bool:
        """Return whether so many refused ones still read their reason that further ones are cut at once."""
        return sum(connection.leaving for connection in self._connections) >= self._limits.refused

    def admit(self, connection: AnyConnection) -> tuple[bool, AnyConnection | None]:
        """Add a connection; return whether it may stay, and which one has to close for it."""
        computer = self._connections[connection] = _computer(connection.host)
        held = Counter(where for each, where in self._connections.items() if not each.leaving)
        limits = self._limits
        if held.total() <= limits.connections * 3 // 4:
            return True, None
        if held[computer] > limits.of_one_address:
            gives_way = self._longest_idle(connection, {computer})
        elif held.total() > limits.connections:
            gives_way = self._longest_idle_of_largest(connection, held)
        else:
            return True, None
        return gives_way is not None, gives_way

    def remove(self, connection: AnyConnection) -> None:
        """Remove a connection."""
        self._connections.pop(connection, None)

    def _longest_idle_of_largest(self, newcomer: AnyConnection, held: Counter[str]) -> AnyConnection | None:
        for _, computers in _by_number(held):
            found = self._longest_idle(newcomer, computers)
            if found is not None:
                return found
        return None

    def _longest_idle(self, newcomer: AnyConnection, computers: set[str]) -> AnyConnection | None:
        idle = [
            (connection.idle_since, number, connection)
            for number, (connection, computer) in enumerate(self._connections.items())
            if computer in computers
            and connection is not newcomer
            and connection.idle_since is not None
            and not connection.leaving
        ]
        return min(idle)[2] if idle else None


def _by_number(held: Counter[str]) -> list[tuple[int, set[str]]]:
    """Group computers by how many connections they hold, the most first."""
    groups: dict[int, set[str]] = {}
    for computer, number in held.items():
        groups.setdefault(number, set()).add(computer)
    return sorted(groups.items(), key=lambda group: -group[0])


def _computer(host: str) -> str:
    """Return one text for all addresses of a computer: with IPv6 it has very many."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
