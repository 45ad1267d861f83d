"""User functions that talk TCP to one server or several, and keep their connections."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.provisioning.board_report import BoardReport
from atcaprov.provisioning.server_connection import ServerConnection
from atcaprov.provisioning.server_exchange import send_report
from atcaprov.provisioning.station_identity import StationIdentity
from atcaprov.provisioning.user_functions import UserFunctions
from atcaprov.wire.server_place import ServerPlace

DEFAULT_HOST: Final = "localhost"
DEFAULT_PORT: Final = 11235
REPORT_SECONDS: Final = 2.0
"""To send a report, with connecting: no board waits for the next one because its report does not get through."""
_LOG: Final = logging.getLogger(__name__)


class TcpClient(UserFunctions):
    """Connects on first use and keeps the connection from chip to chip; an integrator derives from it.

    A connection that broke, or whose last exchange was not finished, is opened again at the next `certreq_start`.
    """

    def __init__(
        self,
        host: str = DEFAULT_HOST,
        port: int = DEFAULT_PORT,
        *,
        servers: Iterable[str] = (),
        station: Path | None = None,
    ) -> None:
        """`servers`, each `HOST[:PORT]`, take the place of `host` and `port`: the first is asked as long as it answers.

        `station` is the folder of the station that this computer is: all connections are TLS with its certificate, and
        none is plain. Without it all are plain TCP.

        Raises:
            UsageError: a server is malformed or repeated, the station is not enrolled, or its folder cannot be used.
        """
        places = [ServerPlace.parse(each, DEFAULT_PORT) for each in servers] or [ServerPlace(host, port)]
        self._station = "" if station is None else StationIdentity.load(station).name
        self._connections = {str(place): ServerConnection(place, station) for place in places}
        if len(self._connections) < len(places):
            raise UsageError("A server is given twice.", advice="Name each server once.")
        self._server = next(iter(self._connections))
        self._limit = math.inf
        """No exchange and no connecting lasts longer, in monotonic seconds."""

    @property
    def servers(self) -> tuple[str, ...]:
        """The servers, in the order in which they were given."""
        return tuple(self._connections)

    @property
    def server(self) -> str:
        """The server that is asked now, as `HOST:PORT`."""
        return self._server

    @property
    def station(self) -> str:
        """The name of the station that its certificate tells the servers; empty on plain connections."""
        return self._station

    @property
    def host(self) -> str:
        """The name of its computer."""
        return self._connection.address.host

    @property
    def port(self) -> int:
        """Its port."""
        return self._connection.address.port

    @property
    def _connection(self) -> ServerConnection:
        return self._connections[self._server]

    def use_server(self, server: str) -> None:
        """Ask this server from now on; the connections to others stay open."""
        self._server = server

    def connect(self) -> None:
        """Connect now.

        Raises:
            TransportError: no server answers there (code SERVER_UNREACHABLE).
        """
        self._connection.connect(self._limit)

    def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            connection.close()

    def certreq_start(self) -> None:
        """Connect, unless a clean connection is there."""
        if not self._connection.is_ready():
            self.connect()
        self._connection.start(self._limit)

    def certreq_send(self, data: bytes) -> None:
        """Send all bytes."""
        self._connection.send(data)

    def certreq_recv(self, expected: int) -> bytes:
        """Return up to `expected` bytes; no bytes mean that the server closed the connection."""
        return self._connection.receive(expected)

    def certreq_done(self) -> None:
        """Keep the connection for the next chip."""
        self._connection.done()

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
