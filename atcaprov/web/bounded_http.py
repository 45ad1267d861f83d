"""The connections of the page, with the bounds that uvicorn does not set."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final
from weakref import WeakSet

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX: Final = 64
REQUEST_SECONDS: Final = 10.0
"""From connecting, or from a request's first byte, to its last; with TLS also for the handshake before it."""


class BoundedSocket(socket.socket):
    """A listening socket that closes connections beyond the limit, before TLS or HTTP begin."""

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take the arguments of a socket."""
        super().__init__(*args, **options)
        self._accepted: WeakSet[socket.socket] = WeakSet()

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection; raises ConnectionAbortedError, after which asyncio accepts the next one."""
        connection, address = super().accept()
        if sum(each.fileno() >= 0 for each in self._accepted) >= CONNECTIONS_MAX:
            connection.close()
            raise ConnectionAbortedError
        self._accepted.add(connection)
        return connection, address


class BoundedProtocol(H11Protocol):
    """Closes connections beyond the limit, and one whose request does not end in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin (asyncio)."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:  # where the loop accepts without `BoundedSocket.accept`: Windows
            transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes (asyncio)."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """End (asyncio)."""
        self._forget_deadline()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
