"""A command's end of the control channel: ask the server of a data folder, if one runs."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any, Final

from atcaprov.errors import AtcaProvError, Code, TransportError
from provisioning_server.control.control_file import ControlFile
from provisioning_server.control.requests_answers import ControlRequest, parse_answer, request_line
from provisioning_server.control.sealed_lines import ANSWER_MAX, SealBrokenError, SealedLineBuffer
from provisioning_server.control.server import LOOPBACK

CONNECT_SECONDS: Final = 5.0
COMMAND_SECONDS: Final = 60.0
_CHUNK: Final = 1 << 16


class NoServerError(TransportError):
    """No server of this data folder answers."""


def run_command(
    data: Path, command: str, arguments: dict[str, Any], seconds: float = COMMAND_SECONDS
) -> dict[str, Any]:
    """Let the server that holds a data folder run a command; return its result.

    Raises:
        NoServerError: SERVER_UNREACHABLE, none runs; the control file of one that was killed is recognized.
        TransportError: SERVER_DROPPED, it gave no answer within `seconds`: what became of the command is not known.
        UsageError: as `ControlFile.read`.
        AtcaProvError: what the command raised in the server.
    """
    place = ControlFile(data).read()
    if place is None:
        raise _no_server(data)
    request = ControlRequest(command, arguments)
    try:
        connection = socket.create_connection((LOOPBACK, place.port), CONNECT_SECONDS)
    except OSError as error:
        raise _no_server(data) from error
    with connection:
        line = _exchange(connection, request_line(place.secret, request), time.monotonic() + seconds)
    try:
        return parse_answer(place.secret, request.nonce, line)
    except SealBrokenError as error:  # another program has the port of a server that was killed
        raise _no_server(data) from error


def _exchange(connection: socket.socket, line: bytes, deadline: float) -> bytes:
    """Send a line and return the one that comes back."""
    buffer = SealedLineBuffer(ANSWER_MAX)
    try:
        connection.settimeout(CONNECT_SECONDS)
        connection.sendall(line)
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            data = connection.recv(_CHUNK)
            if not data:
                raise _dropped("It closed the connection.")
            answer = buffer.receive(data)
            if answer is not None:
                return answer
    except OSError as error:
        raise _dropped(f"The connection failed: {error.strerror or error}.") from error
    raise _dropped("The time for it is over.")


def _no_server(data: Path) -> NoServerError:
    return NoServerError(
        f"No server runs with the data folder {data}.",
        advice="Start it, or name the data folder of the running one with --data.",
        code=Code.SERVER_UNREACHABLE,
    )


def _dropped(why: str) -> AtcaProvError:
    return TransportError(
        f"The server did not answer the command. {why}",
        advice="See with 'provisioning-server status' whether it runs, and whether the command was done.",
        code=Code.SERVER_DROPPED,
    )
