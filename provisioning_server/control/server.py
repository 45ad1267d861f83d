"""The server's end of the control channel: a port on the loopback address, and the commands that it knows by name."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

from atcaprov.bounded_reading import shown
from atcaprov.errors import AtcaProvError, Code, ProtocolError, ServerRejected, UsageError
from atcaprov.log import Log
from provisioning_server.control.control_file import ControlFile, ControlPlace
from provisioning_server.control.requests_answers import error_line, parse_request, result_line
from provisioning_server.control.sealed_lines import REQUEST_MAX, SealedLineBuffer
from provisioning_server.internal_error import internal_error

LOOPBACK: Final = "127.0.0.1"
CONNECTIONS_MAX: Final = 16
REQUEST_SECONDS: Final = 5.0
"""From the connection to the end of its line."""
ANSWER_SECONDS: Final = 5.0
"""For the other end to take its answer."""
STOP_SECONDS: Final = 10.0
_CHUNK: Final = 1 << 16
Handler = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]
"""Takes the arguments of a command, returns its result; raises AtcaProvError. On the event loop."""


class ControlServer:
    """Answers commands, one on each connection. `handle` names them; the control file is there while it listens."""

    def __init__(self, data: Path, log: Log) -> None:
        self._file = ControlFile(data)
        self._log = log
        self._handlers: dict[str, Handler] = {}
        self._place: ControlPlace | None = None
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()
        self._silent: dict[asyncio.Task[None], None] = {}
        """Those whose line has not come yet, oldest first."""

    def handle(self, command: str, handler: Handler) -> None:
        """Let a handler answer the command of a name; of two for one name the later counts."""
        self._handlers[command] = handler

    async def start(self) -> None:
        """Listen on a port that the system chooses and write the control file; raises AtcaProvError."""
        try:
            self._server = await asyncio.start_server(self._accept, LOOPBACK, 0)
        except OSError as error:
            raise UsageError(
                f"The server cannot listen on {LOOPBACK} for its commands: {error.strerror or error}.",
                advice="Check the network of this computer: it must have a loopback address.",
            ) from error
        self._place = ControlPlace(self._server.sockets[0].getsockname()[1])
        self._file.write(self._place)

    async def stop(self) -> None:
        """Accept nothing more, let open commands end for a while, and remove the control file."""
        with contextlib.suppress(OSError):  # a file that stays is recognized: nothing answers at its port
            self._file.remove()
        if self._server is not None:
            self._server.close()
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=STOP_SECONDS)
            for task in late:
                task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection; for one too many the oldest silent one is cut, or it itself while all are at work.

        Any user of this computer can connect: who holds connections and has no secret keeps no command out.
        """
        task = asyncio.current_task()
        assert task is not None
        if len(self._open) >= CONNECTIONS_MAX and not self._cut_silent():
            writer.transport.abort()
            return
        self._open.add(task)
        self._silent[task] = None
        try:
            await self._serve(task, reader, writer)
        except (OSError, TimeoutError, asyncio.CancelledError):
            pass  # the other end has gone or is too slow, or the server ends: there is no one to tell
        finally:
            self._silent.pop(task, None)
            self._open.discard(task)
            writer.close()

    def _cut_silent(self) -> bool:
        """Cut the connection that has been silent longest; return whether there was one."""
        oldest = next(iter(self._silent), None)
        if oldest is None:
            return False
        del self._silent[oldest]
        self._open.discard(oldest)
        oldest.cancel()
        return True

    async def _serve(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        answer = await self._answer(task, reader)
        writer.write(answer)
        async with asyncio.timeout(ANSWER_SECONDS):
            await writer.drain()

    async def _answer(self, task: asyncio.Task[None], reader: asyncio.StreamReader) -> bytes:
        """Return the sealed answer to the line of a connection, whatever it is."""
        assert self._place is not None
        secret, nonce = self._place.secret, ""
        try:
            line = await _line(reader)
            self._silent.pop(task, None)
            request = parse_request(secret, line)
            nonce = request.nonce
            return result_line(secret, nonce, await self.run(request.command, request.arguments))
        except ProtocolError as error:
            self._log.warning(f"A command to the server was refused: {error.what}")
            return error_line(secret, nonce, error)
        except AtcaProvError as error:
            return error_line(secret, nonce, error)
        except Exception as error:
            failed = internal_error(error)
            self._log.error(str(failed))
            return error_line(secret, nonce, failed)

    async def run(self, command: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a command for another part of this server, or for who has the secret; raises AtcaProvError."""
        handler = self._handlers.get(command)
        if handler is None:
            raise ServerRejected(
                f"The running server does not know the command {shown(command)}.",
                advice="Restart it after an update: it may be older than this program.",
            )
        return await handler(arguments)


async def _line(reader: asyncio.StreamReader) -> bytes:
    """Return the line that comes; raises ProtocolError for one that is too long, late or cut."""
    buffer = SealedLineBuffer(REQUEST_MAX)
    try:
        async with asyncio.timeout(REQUEST_SECONDS):
            while data := await reader.read(_CHUNK):
                line = buffer.receive(data)
                if line is not None:
                    return line
    except TimeoutError:
        raise ProtocolError("The line did not end in time.", code=Code.BAD_FRAME) from None
    raise ProtocolError("The line has no end.", code=Code.BAD_FRAME)
