"""User functions that talk TCP to the server and keep their connection."""

from __future__ import annotations

import contextlib
import logging
import math
import socket
import time
from collections.abc import Iterator
from typing import Final

from atcaprov.errors import AtcaProvError, Code, TransportError
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.provisioning.server_exchange import send_report
from atcaprov.provisioning.user_functions import UserFunctions

DEFAULT_HOST: Final = "localhost"
DEFAULT_PORT: Final = 11235
CONNECT_SECONDS: Final = 10.0
EXCHANGE_SECONDS: Final = 60.0
"""From the beginning of a request to the last byte of its reply, however slowly they arrive; a server with slow signer
modules may have a queue."""
REPORT_SECONDS: Final = 2.0
"""To send a report, with connecting: no board waits for the next one because its report does not get through."""
_LOG: Final = logging.getLogger(__name__)


class TcpClient(UserFunctions):
    """Connects on first use and keeps the connection from chip to chip; an integrator derives from it.

    A connection that broke, or whose last exchange was not finished, is opened again at the next `certreq_start`.
    """

    def __init__(self, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT) -> None:
        self.host = host
        self.port = port
        self._socket: socket.socket | None = None
        self._in_exchange = False
        self._deadline = 0.0
        """End of the present exchange, in monotonic seconds."""
        self._limit = math.inf
        """No exchange and no connecting lasts longer, in monotonic seconds."""
        self._peer: tuple[str, int] | None = None
        """The address that was connected last."""

    def connect(self) -> None:
        """Connect now.

        Raises:
            TransportError: no server answers there (code SERVER_UNREACHABLE).
        """
        self.close()
        try:
            self._socket = self._new_connection()
        except (OSError, UnicodeError) as error:
            _LOG.info("No connection to %s:%d: %s", self.host, self.port, _reason(error))
            raise TransportError(
                f"No connection to the Provisioning Server at {self.host}:{self.port}: {_reason(error)}.",
                advice="Check that the server runs and that --host and --port are right.",
                code=Code.SERVER_UNREACHABLE,
            ) from error
        self._peer = self._socket.getpeername()[:2]
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _LOG.info("Connected to %s:%d.", self.host, self.port)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._in_exchange = False

    def certreq_start(self) -> None:
        """Connect, unless a clean connection is there."""
        if self._socket is None or self._in_exchange or self._was_closed():
            if self._socket is not None:
                _LOG.info("Connecting again: %s", "the last exchange was cut" if self._in_exchange else "it was closed")
            self.connect()
        self._in_exchange = True
        self._deadline = min(time.monotonic() + EXCHANGE_SECONDS, self._limit)

    def certreq_send(self, data: bytes) -> None:
        """Send all bytes."""
        try:
            self._in_time().sendall(data)
        except OSError as error:
            raise self._lost(error) from error

    def certreq_recv(self, expected: int) -> bytes:
        """Return up to `expected` bytes; no bytes mean that the server closed the connection."""
        try:
            return self._in_time().recv(expected)
        except OSError as error:
            raise self._lost(error) from error

    def certreq_done(self) -> None:
        """Keep the connection for the next chip."""
        self._in_exchange = False

    @contextlib.contextmanager
    def limited_to(self, seconds: float) -> Iterator[None]:
        """Limit everything in the block to so many seconds in all; what takes longer raises TransportError."""
        self._limit = time.monotonic() + seconds
        try:
            yield
        finally:
            self._limit = math.inf

    def report(self, report: BoardReport) -> None:
        """Send the report once, within two seconds.

        If that fails, the certificate stays unproven until the board is started again.
        Override it to keep reports until the server has them. A run that was interrupted is not reported.
        """
        if report.code == Code.INTERRUPTED:
            return
        try:
            with self.limited_to(REPORT_SECONDS):
                send_report(self, report)
        except AtcaProvError as error:
            _LOG.warning(
                "The report on chip %s did not reach the server: %s", report.serial_number.hex().upper(), error
            )

    def _new_connection(self) -> socket.socket:
        """Connect; with a limit only to the address that was found before: looking up a name has no limit."""
        left = self._limit - time.monotonic()
        if left <= 0:
            raise TimeoutError
        place = self._peer if math.isfinite(left) else None
        return socket.create_connection(place or (self.host, self.port), timeout=min(CONNECT_SECONDS, left))

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

    def _was_closed(self) -> bool:
        """Tell whether the server has closed the idle connection, or sent something without a request."""
        connection = self._connected()
        connection.setblocking(False)
        try:
            connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True

    def _lost(self, error: OSError) -> TransportError:
        self.close()
        _LOG.info("Connection to %s:%d lost: %s", self.host, self.port, _reason(error))
        return TransportError(
            f"The connection to the Provisioning Server at {self.host}:{self.port} was lost: {_reason(error)}.",
            advice="Try again; if it happens twice, call the technician to look at the server.",
            code=Code.SERVER_DROPPED,
        )


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
