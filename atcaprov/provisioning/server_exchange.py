"""Send one request to the Provisioning Server through the user functions."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final, TypeVar

from atcaprov.errors import Board, Code, ProtocolError, ServerRejected
from atcaprov.provisioning.board_report import Acknowledgement, BoardReport
from atcaprov.provisioning.user_functions import UserFunctions
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.messages import REQUEST_NUMBER_MAX, AnyMessage, ErrorReply, ReportReply

BUSY_SECONDS_MAX: Final = 30.0
"""How long a busy server is waited for in all, for one answer."""
_PAUSE_MIN: Final = 0.1
Reply = TypeVar("Reply")
_LOG: Final = logging.getLogger(__name__)


def _nothing() -> None:
    """Do nothing before a request is sent."""


def ask(
    functions: UserFunctions, request: AnyMessage, reply_type: type[Reply], sending: Callable[[], None] = _nothing
) -> Reply:
    """Send `request`, with a number of its own, and return the server's reply of type `reply_type`.

    `sending` is called when the server is connected, before it can have got any byte of the request.

    Raises:
        ServerRejected: the server answered with an error; `request_error` was called with it.
        TransportError: the server closed the connection (code SERVER_DROPPED), or the user functions lost it.
        ProtocolError: the server's bytes are not a reply to this request.
    """
    connection = Connection(Role.CLIENT)
    _LOG.debug("%s to the server.", type(request).__name__)
    functions.certreq_start()
    sending()
    functions.certreq_send(connection.send(replace(request, request_number=1 + secrets.randbelow(REQUEST_NUMBER_MAX))))
    while (reply := connection.next_event()) is None:
        connection.receive_data(functions.certreq_recv(connection.bytes_wanted))
    functions.certreq_done()
    _LOG.debug("%s from the server.", type(reply).__name__)
    if isinstance(reply, ErrorReply):
        _LOG.info("The server refused: %s", reply.code)
        functions.request_error(reply.code, reply.message)
        rejected = ServerRejected(
            reply.message, code=reply.code, board=Board.RETRY if reply.retryable else Board.SET_ASIDE
        )
        rejected.retry_after = reply.retry_after / 1000
        raise rejected
    if not isinstance(reply, reply_type):
        raise ProtocolError(
            f"The Provisioning Server answered {type(request).__name__} with {type(reply).__name__}.",
            code=Code.UNEXPECTED_MESSAGE,
        )
    return reply


def ask_patiently(
    functions: UserFunctions, request: AnyMessage, reply_type: type[Reply], sending: Callable[[], None] = _nothing
) -> Reply:
    """Ask as `ask`; a busy server is asked again when it says, for half a minute at most. A chip must be at rest.

    The pauses are up to a quarter longer than the server says, so that stations do not return all at once.
    """
    left = BUSY_SECONDS_MAX
    while True:
        try:
            return ask(functions, request, reply_type, sending)
        except ServerRejected as error:
            pause = max(error.retry_after, _PAUSE_MIN) * (1 + secrets.randbelow(250) / 1000)
            if not error.retry_after or pause > left:
                raise
            left -= pause
            _LOG.info("The server is busy: asking again in %.1f s.", pause)
            functions.wait_for_server(pause, error)


def send_report(functions: UserFunctions, report: BoardReport) -> Acknowledgement:
    """Send a report to the server that sent the challenge; it is recorded when this returns, and may be discarded.

    The same report may be sent again if this fails. Raises as `ask`; ServerRejected with the code CHALLENGE_UNKNOWN if
    another server sent the challenge.
    """
    reply = ask(functions, report.request, ReportReply)
    return Acknowledgement(reply.proven, reply.checkpoint)
