"""The TCP port: accepts connections, keeps the list of connections, closes those that are late."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Final, Protocol

from atcaprov.errors import AtcaProvError, Code, TransportError, UsageError
from atcaprov.log import Log, log_event
from atcaprov.wire.messages import EnrolRequest, ErrorReply
from provisioning_server import rejections
from provisioning_server.issuing.requests import Reply, Request
from provisioning_server.orders.askers import asker_of
from provisioning_server.orders.rate_limits import RateLimits
from provisioning_server.transport.channels import Channel, PlainChannel, TlsChannel
from provisioning_server.transport.client_connection import ClientConnection, address_text
from provisioning_server.transport.connection_table import ConnectionTable
from provisioning_server.transport.limits import ConnectionLimits

SWEEP_SECONDS: Final = 1.0
BACKLOG: Final = 128
_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPALIVE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds of silence until the system asks a client for a sign of life (macOS has another name for them), between its
questions, and their number."""

Submit = Callable[[Request, Callable[[Reply], None], str, str], None]


class StationGate(Protocol):
    """What decides on the connections of a server with TLS."""

    def context(self) -> ssl.SSLContext:
        """Return the TLS context of a new connection."""

    def admit(self, certificate: bytes) -> str | ErrorReply:
        """Return the name of the station with a certificate (DER; empty: none was shown), or why it may not ask."""

    def enrol(self, request: EnrolRequest, station: str, client: str, deliver: Callable[[Reply], None]) -> None:
        """Give a station its certificate; `station` is who asks, empty if its certificate does not admit it."""


class Listener:
    """Accepts connections and owns them. With a gate they are TLS, without one plain TCP."""

    def __init__(
        self,
        limits: ConnectionLimits,
        rates: RateLimits,
        submit: Submit,
        log: Log,
        gate: StationGate | None = None,
        refused: Callable[[Request, ErrorReply], None] | None = None,
    ) -> None:
        """`submit` takes a request, its reply's way back, the client's address and its station.

        `refused` is told of each request that is refused here and not submitted.
        """
        self.limits = limits
        self._rates = rates
        self._gate = gate
        self._submit = submit
        self._refused = refused or _untold
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._read: list[tuple[Request, Callable[[Reply], None], str, str]] = []
        """Requests that are not passed on yet."""
        self._connections: ConnectionTable[ClientConnection] = ConnectionTable(limits)
        self._all_closed = asyncio.Event()
        self._all_closed.set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    async def start(self, bind: str, port: int) -> list[str]:
        """Listen; return each address as `127.0.0.1:11235`, with the port that the system chose for port 0.

        A name such as localhost can stand for several addresses.

        Raises:
            TransportError: PORT_IN_USE.
            UsageError: this address or port is not available.
        """
        try:
            self._server = await self._loop.create_server(lambda: ClientConnection(self), bind, port, backlog=BACKLOG)
        except OSError as error:
            raise _no_listener(error, bind, port) from error
        for listening in self._server.sockets:
            _keep_alive(listening)
        self._sweep()
        return [address_text(listening.getsockname()) for listening in self._server.sockets]

    @property
    def clients(self) -> list[str]:
        """Return the addresses of the clients that are connected."""
        return [connection.peer for connection in self._connections if not connection.leaving]

    @property
    def stations(self) -> set[str]:
        """Return the names of the stations that are connected."""
        return {connection.station for connection in self._connections if connection.station and not connection.leaving}

    async def drain(self, seconds: float) -> int:
        """Accept nothing more, and close each connection when its open request has its reply.

        Return how many are not closed within the time.
        """
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._all_closed.wait(), seconds)
        return len(self._connections)

    async def stop(self, seconds: float | None = None) -> None:
        """Drain, within `stop_seconds` or the time that is given, and close what is left."""
        if await self.drain(self.limits.stop_seconds if seconds is None else seconds):
            for connection in list(self._connections):
                connection.late()
        if self._sweeper is not None:
            self._sweeper.cancel()

    def now(self) -> float:
        """Return the time of the loop."""
        return self._loop.time()

    def new_channel(self) -> Channel:
        """Return the way of a new connection."""
        return PlainChannel() if self._gate is None else TlsChannel(self._gate.context())

    def admit(self, certificate: bytes) -> str | ErrorReply:
        """Return the name of the station with a certificate, or why it may not ask; "" without TLS."""
        return "" if self._gate is None else self._gate.admit(certificate)

    def check_admissions(self) -> None:
        """Close the connections of stations that are not admitted any more."""
        for connection in list(self._connections):
            connection.check_admission()

    def opened(self, connection: ClientConnection) -> ErrorReply | None:
        """Add a connection; refuse it, or close another one for it, if there are too many.

        Cut it if too many are being refused: each holds a file descriptor, which the records need, too.
        """
        refused = self._make_room(connection, *self._connections.admit(connection))
        self._all_closed.clear()
        if not connection.leaving and refused is None:
            text = f"Client {connection.peer} connected."
            self._log.info(log_event("connected", text, client=connection.peer))
        return refused

    def identified(self, connection: ClientConnection) -> ErrorReply | None:
        """Take over the station of a connection; refuse it, or close another one for it, if it has too many."""
        return self._make_room(connection, *self._connections.identify(connection))

    def _make_room(
        self, connection: ClientConnection, stays: bool, gives_way: ClientConnection | None
    ) -> ErrorReply | None:
        if gives_way is not None:
            gives_way.dismiss(rejections.GAVE_WAY, in_silence=self._connections.too_many_leaving)
        if stays:
            return None
        if not self._connections.too_many_leaving:
            return rejections.BUSY
        connection.cut(rejections.BUSY.message)
        return None

    def closed(self, connection: ClientConnection, reason: str) -> None:
        """Remove a connection."""
        self._connections.remove(connection)
        if not len(self._connections):
            self._all_closed.set()
        text = f"Client {connection.peer} disconnected.{' ' if reason else ''}{reason}"
        say = self._log.warning if reason else self._log.info
        say(log_event("disconnected", text, client=connection.peer, station=connection.station))

    def submit(self, request: Request, deliver: Callable[[Reply], None], client: str, station: str) -> None:
        """Pass a request on, together with all others that the loop reads in the same round.

        So the thread that issues is woken once, and does not compete with the loop while that reads. A station that
        asks too often is refused here, a moment later: it has one request open at a time, so it cannot flood the loop.
        """
        refusal = self._rates.refusal(request, asker_of(station, client))
        if refusal is not None:
            self._refused(request, refusal)
            self._loop.call_later(self.limits.refusal_seconds, deliver, refusal)
            return
        if isinstance(request, EnrolRequest) and self._gate is not None:
            self._gate.enrol(request, station, client, deliver)
            return
        self._read.append((request, deliver, client, station))
        if len(self._read) == 1:
            self._loop.call_soon(self._pass_on)

    def _pass_on(self) -> None:
        read, self._read = self._read, []
        for each in read:
            self._submit(*each)

    def _sweep(self) -> None:
        now = self.now()
        for connection in [connection for connection in self._connections if connection.deadline <= now]:
            connection.late()
        self._sweeper = self._loop.call_later(SWEEP_SECONDS, self._sweep)


def _untold(_: Request, __: ErrorReply) -> None:
    """Tell no one."""


def _keep_alive(listening: socket.socket) -> None:
    """Turn on keep-alive: a station that lost its power closes nothing, and would keep its connection for hours."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # what is accepted here inherits it
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _no_listener(error: OSError, bind: str, port: int) -> AtcaProvError:
    if error.errno == errno.EADDRINUSE:
        return TransportError(
            f"Port {port} of {bind} is in use by another program.",
            advice="Close that program, perhaps another Provisioning Server, or choose another port with --port.",
            code=Code.PORT_IN_USE,
        )
    reason = error.strerror or str(error)
    return UsageError(f"The server cannot listen on {bind}, port {port}: {reason}.", advice="Check --bind and --port.")
