"""Which connection gives way when there are many, so that one computer, or a broken one, cannot shut out the others.

Up to three quarters of the table all are admitted. Above, an address that holds its share already gets another
connection only in place of its own that was idle longest; in a full table the holder with the most gives up one. A
holder is a station once it is identified, before that a computer. Handshakes have bounds of their own, and in a full
table they give way first: who they are is not known yet. A connection in the middle of a message, or that waits for a
reply, never gives way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from provisioning_server.orders.askers import asker_of, computer
from provisioning_server.transport.limits import ConnectionLimits

_IPV6_PREFIX = 64
"""Bits of an IPv6 address that name a network; one computer can have all addresses in it (RFC 4291, section 2.5.1)."""


_STATION = "station "


class TrackedConnection(Protocol):
    """What the table needs to know of a connection."""

    @property
    def host(self) -> str:
        """The address at its other end, without the port."""

    @property
    def station(self) -> str:
        """The station at its other end; empty while that is not known."""

    @property
    def in_handshake(self) -> bool:
        """Return whether its TLS handshake is not done yet."""

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for a message or a handshake (seconds); None while it is busy."""

    @property
    def leaving(self) -> bool:
        """Return whether it was refused and stays open only to read the reason."""


AnyConnection = TypeVar("AnyConnection", bound=TrackedConnection)


class ConnectionTable(Generic[AnyConnection]):
    """The connections that are open. `admit` decides on each new one."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._connections: dict[AnyConnection, str] = {}  # with their holders

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
        holder = self._connections[connection] = computer(connection.host)
        if connection.in_handshake:
            crowded, gives_way = self._handshake_to_close(connection, holder)
            if crowded:
                return gives_way is not None, gives_way
        held = self._held()
        limits = self._limits
        if held.total() <= limits.connections * 3 // 4:
            return True, None
        if held[holder] > limits.of_one_address:
            gives_way = self._longest_idle(connection, {holder})
        elif held.total() > limits.connections:
            gives_way = self._longest_handshake(connection) or self._longest_idle_of_largest(connection, held)
        else:
            return True, None
        return gives_way is not None, gives_way

    def identify(self, connection: AnyConnection) -> tuple[bool, AnyConnection | None]:
        """Take over which station a connection is of, now that its handshake is done; return as `admit`."""
        if not connection.station or connection not in self._connections:
            return True, None
        holder = self._connections[connection] = asker_of(connection.station, "")
        if self._held()[holder] <= self._limits.of_one_station:
            return True, None
        gives_way = self._longest_idle(connection, {holder})
        return gives_way is not None, gives_way

    def remove(self, connection: AnyConnection) -> None:
        """Remove a connection."""
        self._connections.pop(connection, None)

    def _held(self, *, in_handshake: bool = False) -> Counter[str]:
        """Count the connections of each holder, or only those in a handshake."""
        return Counter(
            holder
            for each, holder in self._connections.items()
            if not each.leaving and (each.in_handshake or not in_handshake)
        )

    def _handshake_to_close(self, newcomer: AnyConnection, holder: str) -> tuple[bool, AnyConnection | None]:
        """Return whether there is one handshake too many, and which one closes for it."""
        held = self._held(in_handshake=True)
        if held[holder] > self._limits.handshakes_of_one_address:
            return True, self._longest_idle(newcomer, {holder}, in_handshake=True)
        if held.total() > self._limits.handshakes:
            return True, self._longest_idle_of_largest(newcomer, held, in_handshake=True)
        return False, None

    def _longest_handshake(self, newcomer: AnyConnection) -> AnyConnection | None:
        return self._longest_idle_of_largest(newcomer, self._held(in_handshake=True), in_handshake=True)

    def _longest_idle_of_largest(
        self, newcomer: AnyConnection, held: Counter[str], *, in_handshake: bool = False
    ) -> AnyConnection | None:
        for holders in _by_number(held):
            found = self._longest_idle(newcomer, holders, in_handshake=in_handshake)
            if found is not None:
                return found
        return None

    def _longest_idle(
        self, newcomer: AnyConnection, holders: set[str], *, in_handshake: bool = False
    ) -> AnyConnection | None:
        idle = [
            (connection.idle_since, number, connection)
            for number, (connection, holder) in enumerate(self._connections.items())
            if holder in holders
            and connection is not newcomer
            and connection.idle_since is not None
            and not connection.leaving
            and (connection.in_handshake or not in_handshake)
        ]
        return min(idle)[2] if idle else None


def _by_number(held: Counter[str]) -> list[set[str]]:
    """Group holders by how many connections they have, the most first."""
    groups: dict[int, set[str]] = {}
    for holder, number in held.items():
        groups.setdefault(number, set()).add(holder)
    return [groups[number] for number in sorted(groups, reverse=True)]
