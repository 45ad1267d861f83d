"""The connection to one server, kept from chip to chip."""

from __future__ import annotations

import logging
import math
import socket
import ssl
import struct
import sys
import time
from pathlib import Path
from typing import Final

from atcaprov.errors import AtcaProvError, Code, TransportError
from atcaprov.provisioning.server_tls import is_end, secured, tls_failed
from atcaprov.wire.server_place import ServerPlace

CONNECT_SECONDS: Final = 10.0
EXCHANGE_SECONDS: Final = 60.0
"""From the beginning of a request to the last byte of its reply, however slowly they arrive; a server with slow signer
modules may have a queue."""
_LINGER: Final = struct.Struct("hh" if sys.platform == "win32" else "ii")
_LOG: Final = logging.getLogger(__name__)


class ServerConnection:
    """Connects on first use; a connection that broke, or whose last exchange was not finished, is opened again.

    A connection that ends within an exchange, also with its program, is reset and not closed in order: then the system
    delivers no request later that was given up, which the server would take for a new one.
    """

    def __init__(self, address: ServerPlace, station: Path | None = None) -> None:
        """`station` is the folder of the station that this computer is; with it the connection is TLS."""
        self.address = address
        self.station: Final = station
        self._socket: socket.socket | None = None
        self._in_exchange = False
        self._deadline = 0.0
        """End of the present exchange, in monotonic seconds."""
        self._peer: tuple[str, int] | None = None
        """The address that was connected last."""

    def connect(self, limit: float = math.inf) -> None:
        """Connect now, until `limit` in monotonic seconds.

        Raises:
            TransportError: no server answers there (SERVER_UNREACHABLE), or it does not prove who it is (TLS_FAILED).
            UsageError: the station's folder cannot be used.
        """
        self.close()
        try:
            connection = self._new_connection(limit)
            self._peer = connection.getpeername()[:2]
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket = connection if self.station is None else self._secured(connection, self.station)
        except (OSError, UnicodeError) as error:
            _LOG.info("No connection to %s: %s", self.address, _reason(error))
            raise TransportError(
                f"No connection to the Provisioning Server at {self.address}: {_reason(error)}.",
                advice="Check that the server runs and that --host and --port are right.",
                code=Code.SERVER_UNREACHABLE,
            ) from error
        _LOG.info("Connected to %s.", self.address)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._in_exchange = False

    def is_ready(self) -> bool:
        """Tell whether a clean connection is there."""
        if self._socket is None:
            return False
        if self._in_exchange or self.was_closed():
            _LOG.info("Connecting again: %s", "the last exchange was cut" if self._in_exchange else "it was closed")
            return False
        return True

    def start(self, limit: float = math.inf) -> None:
        """Begin an exchange on the connection, which is there; it ends at `limit`, in monotonic seconds."""
        self._reset_at_close(True)
        self._in_exchange = True
        self._deadline = min(time.monotonic() + EXCHANGE_SECONDS, limit)

    def send(self, data: bytes) -> None:
        """Send all bytes; raises TransportError (SERVER_DROPPED)."""
        try:
            self._in_time().sendall(data)
        except OSError as error:
            raise self._lost(error) from error

    def receive(self, size: int) -> bytes:
        """Return up to `size` bytes; none if the server closed the connection. Raises TransportError."""
        try:
            return self._in_time().recv(size)
        except OSError as error:
            raise self._lost(error) from error

    def done(self) -> None:
        """End the exchange: its answer is complete."""
        if self._socket is not None:
            self._reset_at_close(False)
        self._in_exchange = False

    def was_closed(self) -> bool:
        """Tell whether the server has closed the idle connection, or sent something without a request."""
        connection = self._connected()
        connection.setblocking(False)
        try:
            connection.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        return True

    def _secured(self, plain: socket.socket, station: Path) -> socket.socket:
        try:
            return secured(plain, self.address, station)
        except BaseException:
            plain.close()
            raise

    def _new_connection(self, limit: float) -> socket.socket:
        """Connect; with a limit only to the address that was found before: looking up a name has no limit."""
        left = limit - time.monotonic()
        if left <= 0:
            raise TimeoutError
        found = self._peer if math.isfinite(left) else None
        place = found or (self.address.host, self.address.port)
        return socket.create_connection(place, timeout=min(CONNECT_SECONDS, left))

    def _connected(self) -> socket.socket:
        if self._socket is None:
            raise TransportError("The connection to the Provisioning Server is closed.", code=Code.SERVER_DROPPED)
        return self._socket

    def _in_time(self) -> socket.socket:
        """Return the connection with the time that the exchange has left; raises TimeoutError if none is left."""
        connection = self._connected()
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        return connection

    def _reset_at_close(self, wanted: bool) -> None:
        self._connected().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER.pack(wanted, 0))

    def _lost(self, error: OSError) -> AtcaProvError:
        self.close()
        _LOG.info("Connection to %s lost: %s", self.address, _reason(error))
        if isinstance(error, ssl.SSLError) and not is_end(error):
            return tls_failed(self.address, error)
        return TransportError(
            f"The connection to the Provisioning Server at {self.address} was lost: {_reason(error)}.",
            advice="Try again; if it happens twice, call the technician to look at the server.",
            code=Code.SERVER_DROPPED,
        )


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
