"""One end of a connection, without I/O: bytes in, messages out, and back.

    connection.receive_data(bytes)      pass what was received; b"" means that the other end closed
    connection.next_event()             a message, CLOSED, or None while bytes are missing
    connection.send(message) -> bytes   what to put on the wire

Two tables say who may send what in which state: a client asks, a server answers each request once, and a server may
send an ErrorReply at any time. The server's end puts the number of a request into its answer; the client's end refuses
an answer with another number, which belongs to a request that was given up. After an error from `next_event` the
connection cannot be used any more; a server may still send one ErrorReply to say why, then both ends close.
"""

from __future__ import annotations

import enum
from typing import Final

from atcaprov.errors import AtcaProvError, Code, ProtocolError, TransportError, UsageError
from atcaprov.wire.framing import HEADER_SIZE, Header
from atcaprov.wire.messages import BODY_MAX, MESSAGES, AnyMessage, MessageType

BUFFER_MAX: Final = HEADER_SIZE + BODY_MAX + 64 * 1024
"""Bytes that may wait unread in a connection: the largest message and one large read."""


class Role(enum.Enum):
    """Which end this is."""

    CLIENT = "client"
    SERVER = "server"


class ConnectionState(enum.Enum):
    """IDLE: no request is open. REPLY_DUE: a request was sent, its answer was not. BROKEN: unusable."""

    IDLE = "idle"
    REPLY_DUE = "reply due"
    BROKEN = "broken"


class Closed(enum.Enum):
    """The event when the other end has closed between two messages."""

    CLOSED = "closed"


CLOSED: Final = Closed.CLOSED

_ASK: Final = frozenset(
    {
        MessageType.CERTIFICATES_REQUEST,
        MessageType.SIGNER_REQUEST,
        MessageType.REPORT_REQUEST,
        MessageType.ENROL_REQUEST,
    }
)
_ANSWER: Final = frozenset(
    {
        MessageType.CERTIFICATES_REPLY,
        MessageType.SIGNER_REPLY,
        MessageType.REPORT_REPLY,
        MessageType.ENROL_REPLY,
        MessageType.ERROR_REPLY,
    }
)
_REFUSE: Final = frozenset({MessageType.ERROR_REPLY})
_NOTHING: Final[frozenset[MessageType]] = frozenset()

MAY_SEND: Final = {
    (Role.CLIENT, ConnectionState.IDLE): _ASK,
    (Role.CLIENT, ConnectionState.REPLY_DUE): _NOTHING,
    (Role.CLIENT, ConnectionState.BROKEN): _NOTHING,
    (Role.SERVER, ConnectionState.IDLE): _REFUSE,
    (Role.SERVER, ConnectionState.REPLY_DUE): _ANSWER,
    (Role.SERVER, ConnectionState.BROKEN): _REFUSE,
}
MAY_RECEIVE: Final = {
    (Role.CLIENT, ConnectionState.IDLE): _REFUSE,
    (Role.CLIENT, ConnectionState.REPLY_DUE): _ANSWER,
    (Role.SERVER, ConnectionState.IDLE): _ASK,
    (Role.SERVER, ConnectionState.REPLY_DUE): _NOTHING,
}


class Connection:
    """The protocol state of one end of one connection."""

    def __init__(self, role: Role) -> None:
        self.role: Final = role
        self.state = ConnectionState.IDLE
        self._buffer = bytearray()
        self._header: Header | None = None
        self._ended = False
        self._request_number = 0
        self._error: AtcaProvError | None = None

    @property
    def bytes_wanted(self) -> int:
        """How many more bytes until the next step: the rest of a header, then the rest of its body.

        0 means that `next_event` has a result. A reader that receives exactly this many bytes never reads into the
        following message.
        """
        if self._error is not None or self._ended:
            return 0
        return max(0, self._step_size() - len(self._buffer))

    @property
    def mid_message(self) -> bool:
        """Whether a message has begun to arrive and is not complete."""
        return self._header is not None or bool(self._buffer)

    @property
    def mid_body(self) -> bool:
        """Whether the header of a message has been read and its body is not complete."""
        return self._header is not None

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the wire; b"" means that the other end closed.

        Raises:
            ProtocolError: FRAME_TOO_LARGE if more than BUFFER_MAX bytes would wait unread.
        """
        if not data:
            self._ended = True
        elif len(self._buffer) + len(data) > BUFFER_MAX:
            what = "More bytes arrived than one message may have."
            raise self._broken(ProtocolError(what, code=Code.FRAME_TOO_LARGE))
        else:
            self._buffer += data

    def next_event(self) -> AnyMessage | Closed | None:
        """Return the next complete message, CLOSED after a clean end, or None if bytes are missing.

        Raises:
            ProtocolError: the bytes are not a message, or not one that is allowed now; raised again by each later call.
            TransportError: the other end closed within a message, or (client) before it answered.
        """
        if self._error is not None:
            raise self._error
        try:
            return self._take_message() or self._end()
        except AtcaProvError as error:
            raise self._broken(error) from error.__cause__

    def send(self, message: AnyMessage) -> bytes:
        """Return header and body to put on the wire.

        Raises:
            UsageError: this end may not send that message now, or it is larger than its type may be.
        """
        if message.TYPE not in MAY_SEND[self.role, self.state]:
            raise UsageError(f"A {self.role.value} may not send a {message.TITLE} while {self.state.value}.")
        if self.role is Role.SERVER:
            body = message.body(self._request_number)
            self._request_number = 0
        else:
            body = message.body()
            self._request_number = message.request_number
        if len(body) > message.BODY_MAX:
            raise UsageError(f"A {message.TITLE} of {len(body)} bytes is larger than {message.BODY_MAX}.")
        if self.state is not ConnectionState.BROKEN:
            self.state = ConnectionState.REPLY_DUE if self.role is Role.CLIENT else ConnectionState.IDLE
        return Header(message.TYPE, len(body)).pack() + body

    def _step_size(self) -> int:
        return HEADER_SIZE if self._header is None else self._header.body_length

    def _take_message(self) -> AnyMessage | None:
        if self._header is None:
            if len(self._buffer) < HEADER_SIZE:
                return None
            header = Header.parse(self._take(HEADER_SIZE))
            self._check(header)
            self._header = header
        if len(self._buffer) < self._header.body_length:
            return None
        message = MESSAGES[self._header.message_type].from_body(self._take(self._header.body_length))
        self._header = None
        self._match(message)
        self.state = ConnectionState.REPLY_DUE if self.role is Role.SERVER else ConnectionState.IDLE
        return message

    def _check(self, header: Header) -> None:
        """Refuse a message by its header, before its body arrives."""
        message = MESSAGES.get(header.message_type)
        if message is None:
            raise ProtocolError(f"Message type {header.message_type:#04x} is unknown.", code=Code.UNEXPECTED_MESSAGE)
        if message.TYPE not in MAY_RECEIVE[self.role, self.state]:
            raise ProtocolError(
                f"A {message.TITLE} arrived, which is not allowed now ({self.state.value}).",
                code=Code.UNEXPECTED_MESSAGE,
            )
        if header.body_length > message.BODY_MAX:
            raise ProtocolError(
                f"A {message.TITLE} of {header.body_length} bytes is larger than {message.BODY_MAX}.",
                code=Code.FRAME_TOO_LARGE,
            )

    def _match(self, message: AnyMessage) -> None:
        """Keep the number of a request; refuse an answer with another. Older servers send 0."""
        if self.role is Role.SERVER:
            self._request_number = message.request_number
        elif message.request_number not in (0, self._request_number):
            raise ProtocolError(
                f"The {message.TITLE} answers another request: it arrived late, or twice.",
                advice="Try again.",
                code=Code.UNEXPECTED_MESSAGE,
            )

    def _end(self) -> Closed | None:
        if not self._ended:
            return None
        code = Code.SERVER_DROPPED if self.role is Role.CLIENT else Code.TRANSPORT
        if self.mid_message:
            raise TransportError(
                f"The other end closed the connection within a message, {self._missing()} bytes early.",
                advice="Connect again.",
                code=code,
            )
        if self.role is Role.CLIENT and self.state is ConnectionState.REPLY_DUE:
            raise TransportError("The server closed the connection without an answer.", advice="Try again.", code=code)
        return CLOSED

    def _missing(self) -> int:
        return self._step_size() - len(self._buffer)

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _broken(self, error: AtcaProvError) -> AtcaProvError:
        self._error = error
        self._buffer.clear()
        self.state = ConnectionState.BROKEN
        return error
