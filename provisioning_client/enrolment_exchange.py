"""One request of an enrolment and its reply, over a TLS connection of its own."""

from __future__ import annotations

import secrets
import socket
import ssl
import time
from dataclasses import replace
from typing import Final

from atcaprov.errors import AtcaProvError, Code, ProtocolError, ServerRejected, TransportError
from atcaprov.terminal.printable import printable
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.messages import REQUEST_NUMBER_MAX, EnrolReply, EnrolRequest, ErrorReply
from atcaprov.wire.server_place import ServerPlace

CONNECT_SECONDS: Final = 10.0
EXCHANGE_SECONDS: Final = 30.0


def ask_server(place: ServerPlace, context: ssl.SSLContext, request: EnrolRequest) -> EnrolReply:
    """Send a request to a server and return its reply.

    Raises:
        TransportError: SERVER_UNREACHABLE, SERVER_DROPPED or TLS_FAILED.
        ServerRejected: the server refused.
        ProtocolError: its bytes are no reply.
    """
    deadline = time.monotonic() + EXCHANGE_SECONDS
    with _connected(place) as plain, _secured(plain, place, context) as connection:
        reply = _exchange(connection, place, request, deadline)
    if isinstance(reply, ErrorReply):
        raise ServerRejected(reply.message, code=reply.code)
    if not isinstance(reply, EnrolReply):
        raise ProtocolError("The server answered an enrolment with something else.", code=Code.UNEXPECTED_MESSAGE)
    return reply


def unauthenticated() -> ssl.SSLContext:
    """Return TLS that trusts whoever answers: to ask for the station CA's certificate, and to send nothing secret."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _connected(place: ServerPlace) -> socket.socket:
    try:
        return socket.create_connection(place, timeout=CONNECT_SECONDS)
    except (OSError, UnicodeError) as error:
        raise TransportError(
            f"No connection to the Provisioning Server at {place}: {_reason(error)}.",
            advice="Check that the server runs, and that a firewall lets this computer reach it.",
            code=Code.SERVER_UNREACHABLE,
        ) from error


def _secured(plain: socket.socket, place: ServerPlace, context: ssl.SSLContext) -> ssl.SSLSocket:
    try:
        return context.wrap_socket(plain, server_hostname=place.host)
    except OSError as error:
        raise _failed(place, error) from error


def _exchange(connection: ssl.SSLSocket, place: ServerPlace, request: EnrolRequest, deadline: float) -> object:
    wire = Connection(Role.CLIENT)
    numbered = replace(request, request_number=1 + secrets.randbelow(REQUEST_NUMBER_MAX))
    try:
        connection.sendall(wire.send(numbered))
        while (reply := wire.next_event()) is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            connection.settimeout(left)
            wire.receive_data(connection.recv(wire.bytes_wanted))
    except OSError as error:
        raise _failed(place, error) from error
    return reply


def _failed(place: ServerPlace, error: OSError) -> AtcaProvError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return TransportError(
            f"The server at {place} does not prove who it is: {printable(error.verify_message)}.",
            advice="Check the clocks, and that the server is started with this name: --tls-name.",
            code=Code.TLS_FAILED,
        )
    if isinstance(error, ssl.SSLError):
        return TransportError(
            f"The TLS connection to the server at {place} failed: {_reason(error)}.",
            advice="Check that the server is started with --tls.",
            code=Code.TLS_FAILED,
        )
    return TransportError(
        f"The connection to the Provisioning Server at {place} was lost: {_reason(error)}.",
        advice="Run the same command again: the token is still good for this computer.",
        code=Code.SERVER_DROPPED,
    )


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return printable((error.reason or "unknown error").lower().replace("_", " "))
    return printable((error.strerror if isinstance(error, OSError) else None) or str(error))
