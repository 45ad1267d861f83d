"""TCP ports and pseudo-terminals: each client has its own session over the same chips."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from atcaprov.errors import AtcaProvError, Code, TransportError
from atcaprov.serving.framing import FramingSession, Wait

MakeSession = Callable[[], FramingSession]
_LOG: Final = logging.getLogger(__name__)
_READ_SIZE: Final = 65536


class Writer(Protocol):
    """Where the answers of a session go."""

    def write(self, data: bytes) -> None:
        """Take bytes to send."""

    async def drain(self) -> None:
        """Return when the client has room for more."""


class ChipServer:
    """Listens until it is closed. `report` gets a line when a connection had to be closed, and why.

    Everything runs in one event loop; a chip's command runs in it at once, so that no other command can interrupt it.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._servers: list[asyncio.Server] = []
        self._clients: set[asyncio.Task[None]] = set()

    async def listen(self, name: str, host: str, port: int, make_session: MakeSession) -> int:
        """Open a TCP port (0: the system chooses) for sessions of one kind, and return its number.

        Raises:
            TransportError: the port cannot be opened (PORT_IN_USE).
        """

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with self._as_client():
                await self._carry(name, make_session(), reader, writer)

        try:
            server = await asyncio.start_server(connected, host, port)
        except OSError as error:
            # asyncio's words repeat the address; an error of the host's name (below 0) has its own
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            raise TransportError(
                f"The {name} port {host}:{port} cannot be opened: {reason}.",
                advice="Choose another port; 0 takes any free one.",
                code=Code.PORT_IN_USE,
            ) from error
        self._servers.append(server)
        found: int = server.sockets[0].getsockname()[1]
        return found

    async def serve(self, name: str, session: FramingSession, reader: asyncio.StreamReader, writer: Writer) -> None:
        """Carry bytes between a client and its session until it disconnects, or sends bytes of another framing."""
        try:
            await _pump(session, reader, writer)
        except AtcaProvError as error:
            self._report(f"{name}: {error} The connection is closed.")
        except OSError:
            pass  # the client has disconnected; the chips keep their state

    async def serve_line(
        self, name: str, make_session: MakeSession, reader: asyncio.StreamReader, writer: Writer
    ) -> None:
        """Carry bytes of a line, which no client closes: after an error it continues with a new session."""
        while not reader.at_eof():
            try:
                await _pump(make_session(), reader, writer)
            except AtcaProvError as error:
                self._report(f"{name}: {error} The board starts again.")
            except OSError as error:
                self._report(f"{name}: {error.strerror}. The board starts again.")

    async def _carry(
        self, name: str, session: FramingSession, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        _LOG.info("%s: a client connected.", name)
        try:
            await self.serve(name, session, reader, writer)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        finally:
            _LOG.info("%s: a client has left.", name)
            writer.transport.abort()

    async def close(self) -> None:
        """Close every port and every connection; closing twice does no harm."""
        for server in self._servers:
            server.close()
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports close their sockets
        self._servers.clear()

    @contextlib.contextmanager
    def _as_client(self) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            yield
        except asyncio.CancelledError:
            pass  # `close` ends the connections
        finally:
            self._clients.discard(task)


async def _pump(session: FramingSession, reader: asyncio.StreamReader, writer: Writer) -> None:
    while data := await reader.read(_READ_SIZE):
        for step in session.receive(data):
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
            else:
                writer.write(step)
                await writer.drain()
