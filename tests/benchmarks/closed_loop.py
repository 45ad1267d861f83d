"""Clients in a closed loop: each connection sends its next request when the last reply has come, as stations do.

Everything is sent and received as bytes, which were made before and are read afterwards, so that the clients leave the
processors to the server that is measured.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.server import PATIENCE, ServerAddress

_READ_SIZE = 65536
FollowUp = Callable[[int, bytes], bytes | None]


def processor_seconds(pid: int) -> float:
    """User and system time of a process with all its threads: fields 14 and 15 of /proc/<pid>/stat (proc(5))."""
    return _seconds(pid, 11, 12)


def processor_seconds_of_family(pid: int) -> float:
    """Return the time of a process, of its children, and of those that have ended: fields 14 to 17."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    used = 0.0
    for child in children:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended since, and counts below
            used += processor_seconds(int(child))
    return used + _seconds(pid, 11, 12, 13, 14)


def _seconds(pid: int, *places: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[place]) for place in places) / os.sysconf("SC_CLK_TCK")


@dataclass(eq=False)
class _Station:
    socket: socket.socket
    received: bytearray = field(default_factory=bytearray)
    number: int = 0
    asked: float = 0.0


@dataclass
class ClosedLoop:
    """Send `requests` over a number of connections. `is_complete` tells whether bytes are a whole reply.

    `follow_up` gets the number of a request and its reply, and may return a further request of the same station. With
    `tls` each connection is one of TLS; all handshakes are done before the first request.
    """

    address: ServerAddress
    requests: Sequence[bytes]
    connections: int
    is_complete: Callable[[bytes | bytearray], bool]
    follow_up: FollowUp | None = None
    tls: ssl.SSLContext | None = None
    replies: dict[int, bytes] = field(default_factory=dict)
    later_replies: dict[int, bytes] = field(default_factory=dict)
    """To what `follow_up` returned."""
    waits: list[float] = field(default_factory=list)
    """How long each request waited for its reply, in seconds."""
    seconds: float = 0.0
    connected: Callable[[], None] = lambda: None
    """Called when all connections are there, before the first request."""
    _next: int = 0
    _open: int = 0

    def run(self) -> None:
        """Return when all requests have their replies."""
        stations = [_Station(self._connect()) for _ in range(self.connections)]
        self.connected()
        began = time.monotonic()
        with selectors.DefaultSelector() as selector:
            for station in stations:
                selector.register(station.socket, selectors.EVENT_READ, station)
                self._send_next(station)
            while self._open:
                events = selector.select(PATIENCE)
                assert events, "the server is silent"
                for key, _ in events:
                    self._take(key.data)
        self.seconds = time.monotonic() - began
        for station in stations:
            station.socket.close()

    def _connect(self) -> socket.socket:
        plain = socket.create_connection(self.address, PATIENCE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return plain if self.tls is None else self.tls.wrap_socket(plain, server_hostname="localhost")

    def _send_next(self, station: _Station) -> None:
        if self._next < len(self.requests):
            station.number = self._next
            self._next += 1
            self._send(station, self.requests[station.number])

    def _send(self, station: _Station, request: bytes) -> None:
        self._open += 1
        station.asked = time.monotonic()
        station.socket.sendall(request)

    def _take(self, station: _Station) -> None:
        data = _received(station.socket)
        assert data, "the server has closed a connection"
        station.received += data
        if not self.is_complete(station.received):
            return
        self.waits.append(time.monotonic() - station.asked)
        self._open -= 1
        reply = bytes(station.received)
        station.received.clear()
        more = None
        if station.number in self.replies:
            self.later_replies[station.number] = reply
        else:
            self.replies[station.number] = reply
            more = self.follow_up(station.number, reply) if self.follow_up is not None else None
        if more is None:
            self._send_next(station)
        else:
            self._send(station, more)


def _received(connection: socket.socket) -> bytes:
    """Return what there is; of TLS also what was decrypted with it, of which the system knows no more."""
    data = connection.recv(_READ_SIZE)
    while isinstance(connection, ssl.SSLSocket) and connection.pending():
        data += connection.recv(_READ_SIZE)
    return data
