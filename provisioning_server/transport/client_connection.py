"""One connection of a client: bytes in, requests out; replies in, bytes out. It runs on the event loop.

A connection handles one request at a time and holds at most one message of what a client sends ahead. Its `deadline`
says until when the client has to do its part; the listener closes connections that are late.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable
from typing import Final, Protocol

from atcaprov.errors import AtcaProvError, Code, TransportError
from atcaprov.wire.connection import Closed, Connection, ConnectionState, Role
from atcaprov.wire.messages import AnyRequest, EnrolRequest, ErrorReply
from provisioning_server import rejections
from provisioning_server.issuing.requests import Reply, Request
from provisioning_server.rejections import rejection
from provisioning_server.transport.channels import Channel, PlainChannel
from provisioning_server.transport.limits import ConnectionLimits

_LOG: Final = logging.getLogger(__name__)

NEVER: Final = math.inf


class ConnectionOwner(Protocol):
    """What a connection needs of the server around it."""

    limits: ConnectionLimits

    def now(self) -> float:
        """Return seconds on a monotonic clock."""

    def new_channel(self) -> Channel:
        """Return the way of a new connection: plain, or TLS."""

    def admit(self, certificate: bytes) -> str | ErrorReply:
        """Return the name of the station with a certificate, or why it may not ask; "" if everyone may."""

    def opened(self, connection: ClientConnection) -> ErrorReply | None:
        """Register a new connection; return a rejection if it may not stay."""

    def identified(self, connection: ClientConnection) -> ErrorReply | None:
        """Take over the station of a connection whose handshake is done; return a rejection if it may not stay."""

    def closed(self, connection: ClientConnection, reason: str) -> None:
        """Remove a connection that ended; `reason` is empty if it ended cleanly."""

    def submit(self, request: Request, deliver: Callable[[Reply], None], client: str, station: str) -> None:
        """Queue a request of a client, named by its address and station; `deliver` gets the reply."""


class ClientConnection(asyncio.Protocol):
    """The server's end of one connection."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self.peer = "a client"
        self.host = ""
        self.station = ""
        self.in_handshake = False
        self.deadline = NEVER
        self._owner = owner
        self._channel: Channel = PlainChannel()
        self._connection = Connection(Role.SERVER)
        self._transport: asyncio.Transport | None = None
        self._handshake_bytes = 0
        self._refusal: tuple[ErrorReply, str] | None = None
        """What is to be said as soon as the handshake is done."""
        self._stopping = False
        self._hung_up = False
        self._client_ended = False
        self._writing_paused = False
        self._idle_since = 0.0
        self._first_message_by = NEVER
        self._body_awaited = False
        self._reason = ""

    @property
    def leaving(self) -> bool:
        """Return whether it was refused and stays open only to read the reason."""
        closing = self._transport is None or self._transport.is_closing()
        return self._hung_up or self._refusal is not None or closing

    @property
    def idle_since(self) -> float | None:
        """Return since when it is idle, on the monotonic clock; None while it is busy."""
        connection = self._connection
        waits = connection.state is ConnectionState.IDLE and not connection.mid_message and not self._writing_paused
        return self._idle_since if waits else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.peer = address_text(transport.get_extra_info("peername"))
        self.host = _host(transport.get_extra_info("peername"))
        self._channel = self._owner.new_channel()
        self.in_handshake = self._channel.in_handshake
        limits = self._owner.limits
        self._idle_since = self._owner.now()
        self._first_message_by = self._idle_since + limits.first_message_seconds
        self.deadline = self._first_message_by
        if self.in_handshake:
            self.deadline = min(self.deadline, self._idle_since + limits.handshake_seconds)
        refused = self._owner.opened(self)
        if refused is not None:
            self._refuse(refused, refused.message)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._hung_up or self._transport is None:
            return
        try:
            received = self._channel.receive(data)
        except AtcaProvError as error:
            self._fail(error)
            return
        self._write(self._channel.outgoing())
        if self.in_handshake and not self._handshake_done(len(data)):
            return
        if received:
            self._take(received)
        if self._channel.ended and not self._client_ended:
            self.eof_received()

    def eof_received(self) -> bool:
        """Called by the loop when the client sends nothing more. An open request still gets its reply."""
        self._client_ended = True
        if self._hung_up:
            self._close("")
        elif self.in_handshake:
            self._close("The client closed the connection within the TLS handshake.")
        else:
            self._connection.receive_data(b"")
            self._advance()
        return True

    def pause_writing(self) -> None:
        """Called by the loop when the client does not take what is sent.

        With TLS it may not send either: whoever asks for key updates (RFC 8446, section 4.6.3) makes the server write.
        """
        self._writing_paused = True
        if self._transport is not None and not isinstance(self._channel, PlainChannel):
            self._transport.pause_reading()
            self.deadline = min(self.deadline, self._owner.now() + self._owner.limits.write_seconds)

    def resume_writing(self) -> None:
        """Called by the loop when the client takes data again."""
        self._writing_paused = False
        if self._transport is not None and not isinstance(self._channel, PlainChannel):
            self._transport.resume_reading()
        if self._connection.state is ConnectionState.IDLE:
            self.deadline = self._owner.now() + self._owner.limits.idle_seconds
            self._advance()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._transport = None
        self._owner.closed(self, self._reason or (f"Connection lost: {exc}." if exc else ""))

    def late(self) -> None:
        """Close because the client was too slow."""
        if self._transport is None:
            return
        if self.in_handshake:
            self.cut(self._reason or "The TLS handshake took too long.")
        elif self._writing_paused or self._hung_up or self._transport.is_closing():
            self._reason = self._reason or "The client does not take its reply."
            self._transport.abort()
        else:
            self._refuse(rejections.IDLE, "No complete message came in time.")

    def dismiss(self, why: ErrorReply, *, in_silence: bool) -> None:
        """Close it to make room for another one."""
        if in_silence:
            self.cut(why.message)
        else:
            self._refuse(why, why.message)

    def cut(self, reason: str) -> None:
        """Close at once, without a reply to the client."""
        self._hung_up = True
        self._reason = reason
        if self._transport is not None:
            self._transport.abort()

    def stop(self) -> None:
        """Close now, or after the reply that is due."""
        self._stopping = True
        if self._connection.state is not ConnectionState.REPLY_DUE:
            self._refuse(rejections.STOPPING, "")
            self._close("")

    def check_admission(self) -> None:
        """Refuse the station if it was removed, also in the middle of a request."""
        if self.station and isinstance(refused := self._owner.admit(self._channel.certificate), ErrorReply):
            self._refuse(refused, refused.message)

    def _handshake_done(self, received: int) -> bool:
        """Return whether the handshake is done; take over which station it is, and refuse it if it may not stay."""
        self._handshake_bytes += received
        if self._channel.in_handshake:
            if self._handshake_bytes > self._owner.limits.handshake_bytes:
                self.cut("The client sent too much within the TLS handshake.")
            return False
        self.in_handshake = False
        self.deadline = self._first_message_by
        station = self._owner.admit(self._channel.certificate)
        self.station = "" if isinstance(station, ErrorReply) else station
        refused = self._owner.identified(self)
        refusal, self._refusal = self._refusal or ((refused, refused.message) if refused is not None else None), None
        if refusal is not None:
            self._refuse(*refusal)
        return not self._hung_up

    def _fail(self, error: AtcaProvError) -> None:
        """Close after an error of TLS; a client that does not know TLS gets a message without it."""
        assert self._transport is not None
        if error.code == Code.TLS_REQUIRED:
            self._channel = PlainChannel()
            self.in_handshake = False
            self._refuse(rejection(error), str(error))
            return
        self._write(self._channel.outgoing())
        self._hang_up(str(error))

    def _take(self, received: bytes) -> None:
        """Take bytes of messages."""
        began = not self._connection.mid_message and self._connection.state is ConnectionState.IDLE
        try:
            self._connection.receive_data(received)
        except AtcaProvError as error:
            self._refuse(rejection(error), str(error))
            return
        if began:
            self._await_header()
        self._advance()

    def _advance(self) -> None:
        """Take the next request, if there is one and the last one is answered."""
        if self._transport is None or self._writing_paused or self._connection.state is not ConnectionState.IDLE:
            return
        try:
            event = self._connection.next_event()
        except TransportError as error:
            self._close(str(error))
        except AtcaProvError as error:
            self._refuse(rejection(error), str(error))
        else:
            if isinstance(event, Closed):
                self._close("")
            elif isinstance(event, AnyRequest):
                self.deadline = self._first_message_by = NEVER
                self._body_awaited = False
                _LOG.debug("%s from %s.", type(event).__name__, self.peer)
                self._submit(event)
            elif self._connection.mid_body and not self._body_awaited:
                self._body_awaited = True
                self.deadline = min(self._first_message_by, self._owner.now() + self._owner.limits.body_seconds)

    def _submit(self, request: AnyRequest) -> None:
        """Pass a request on, if its station may ask; whoever is not admitted may only enrol with a token."""
        station = self._owner.admit(self._channel.certificate)
        if isinstance(station, str):
            self.station = station  # it may have been admitted since the handshake
            self._owner.submit(request, self._reply, self.peer, station)
        elif isinstance(request, EnrolRequest) and (request.token or not request.certification_request):
            self._owner.submit(request, self._reply, self.peer, "")
        else:
            self._refuse(station, station.message)

    def _await_header(self) -> None:
        self.deadline = min(self._first_message_by, self._owner.now() + self._owner.limits.header_seconds)

    def _reply(self, reply: Reply) -> None:
        """Send the reply to the request that is open. The client may be gone; its certificate stays in the records."""
        if self._transport is None or self._connection.state is not ConnectionState.REPLY_DUE:
            return
        self.check_admission()
        if self._hung_up:
            return
        limits = self._owner.limits
        _LOG.debug("%s to %s.", type(reply).__name__, self.peer)
        self._write(self._channel.send(self._connection.send(reply)))
        if self._stopping:
            self._close("")
            return
        wait = limits.write_seconds if self._writing_paused else limits.idle_seconds
        self._idle_since = self._owner.now()
        self.deadline = self._idle_since + wait
        if self._connection.mid_message:
            self._await_header()
        self._advance()

    def _refuse(self, reply: ErrorReply, reason: str) -> None:
        """Send a refusal and close. What the client still sends is read and dropped for a while.

        Closing over unread bytes would reset the connection, and the client might never see the reply.
        """
        if self._transport is None or self._hung_up or self._transport.is_closing():
            return
        if self.in_handshake:
            self._refusal = self._refusal or (reply, reason)
            self.deadline = min(self.deadline, self._owner.now() + self._owner.limits.linger_seconds)
            return
        with contextlib.suppress(AtcaProvError):  # a reply that may not be sent now is left out
            self._write(self._channel.send(self._connection.send(reply)))
        self._hang_up(reason)

    def _hang_up(self, reason: str) -> None:
        """Send nothing more; what the client still sends is dropped for a while."""
        assert self._transport is not None
        self._hung_up = True
        self._reason = reason
        if self._client_ended:
            self._close("")
            return
        self._write(self._channel.end())
        if self._transport.can_write_eof():
            with contextlib.suppress(OSError):  # the client has reset the connection, which the loop notices later
                self._transport.write_eof()
        self.deadline = self._owner.now() + self._owner.limits.linger_seconds

    def _close(self, reason: str) -> None:
        self._reason = self._reason or reason
        self.deadline = self._owner.now() + self._owner.limits.write_seconds
        if self._transport is not None:
            if not self._transport.is_closing():
                self._write(self._channel.end())
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)


def _host(address: object) -> str:
    return str(address[0]) if isinstance(address, tuple) and address else ""


def address_text(address: object) -> str:
    """Return a socket address as `127.0.0.1:11235` or `[::1]:11235`."""
    if isinstance(address, tuple) and len(address) >= 2:
        return f"[{address[0]}]:{address[1]}" if ":" in str(address[0]) else f"{address[0]}:{address[1]}"
    return "a client"
