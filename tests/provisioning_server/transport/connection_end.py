"""One connection of a server without sockets, plain or with TLS, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from collections.abc import Callable

from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.messages import AnyMessage, ErrorReply
from provisioning_server.issuing.requests import Reply, Request
from provisioning_server.transport.channels import Channel, PlainChannel, TlsChannel
from provisioning_server.transport.client_connection import ClientConnection
from provisioning_server.transport.limits import ConnectionLimits
from tests.support.wire_examples import REQUEST

LIMITS = ConnectionLimits()
STATION = "line-1"


class FakeOwner:
    """Keeps what is submitted; the test answers it when it likes."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.context = context
        self.admission: str | ErrorReply = "" if context is None else STATION
        self.limits = LIMITS
        self.time = 1000.0
        self.refuse: ErrorReply | None = None
        self.open: list[tuple[Request, Callable[[Reply], None]]] = []
        self.reasons: list[str] = []

    def now(self) -> float:
        return self.time

    def new_channel(self) -> Channel:
        return PlainChannel() if self.context is None else TlsChannel(self.context)

    def admit(self, certificate: bytes) -> str | ErrorReply:
        return self.admission

    def opened(self, connection: ClientConnection) -> ErrorReply | None:
        return self.refuse

    def identified(self, connection: ClientConnection) -> ErrorReply | None:
        return None

    def closed(self, connection: ClientConnection, reason: str) -> None:
        self.reasons.append(reason)

    def submit(self, request: Request, deliver: Callable[[Reply], None], client: str, station: str) -> None:
        assert client == "127.0.0.1:40000"
        assert station == (self.admission if isinstance(self.admission, str) else "")
        self.open.append((request, deliver))

    def answer(self, reply: Reply) -> Request:
        request, deliver = self.open.pop(0)
        deliver(reply)
        return request


class MemoryTransport(asyncio.Transport):
    """Keeps what is written; closing is told to the connection at once, as the loop does a little later."""

    def __init__(self, connection: ClientConnection) -> None:
        super().__init__({"peername": ("127.0.0.1", 40000)})
        self.connection = connection
        self.written = b""
        self.closing = False
        self.aborted = False
        self.ended = False
        self.reading_paused = False
        self.reset = False
        """Whether the client has reset the connection, and the loop has not said so yet."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing
        assert not self.ended
        self.written += bytes(data)

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True
        if self.reset:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def pause_reading(self) -> None:
        self.reading_paused = True

    def resume_reading(self) -> None:
        self.reading_paused = False

    def lose(self, error: Exception | None = None) -> None:
        self.connection.connection_lost(error)


class TlsClient:
    """The client's side of TLS without sockets: judged are the bytes, by Python's own `ssl`."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def handshake(self, received: bytes = b"") -> bytes:
        """Take what the server sent; return what it is to get."""
        self.incoming.write(received)
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self.outgoing.read()

    def decrypt(self, data: bytes) -> bytes:
        """Return what the server said before it ended the connection, if it did."""
        self.incoming.write(data)
        parts = []
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            while part := self.tls.read(1 << 16):
                parts.append(part)
        return b"".join(parts)


class End:
    """One connection with everything around it."""

    def __init__(
        self,
        *,
        refuse: ErrorReply | None = None,
        contexts: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
        shake_hands: bool = True,
    ) -> None:
        """Connect; `contexts` are those of the server and the client, if the connection is TLS."""
        self.owner = FakeOwner(contexts[0] if contexts else None)
        self.owner.refuse = refuse
        self.connection = ClientConnection(self.owner)
        self.transport = MemoryTransport(self.connection)
        self.connection.connection_made(self.transport)
        self.client = Connection(Role.CLIENT)
        self.tls = TlsClient(contexts[1]) if contexts else None
        if shake_hands and self.tls is not None:
            self.shake_hands()

    def shake_hands(self) -> None:
        assert self.tls is not None
        while data := self.tls.handshake(self.written()):
            self.connection.data_received(data)

    def written(self) -> bytes:
        """Return what the server has written since the last call, as it is on the wire."""
        data, self.transport.written = self.transport.written, b""
        return data

    def receive(self, data: bytes) -> None:
        """Let the server receive bytes of messages."""
        self.connection.data_received(data if self.tls is None else self.tls.encrypt(data))

    def request(self, message: AnyMessage = REQUEST) -> None:
        self.receive(self.client.send(message))

    def replies(self) -> list[AnyMessage]:
        data = self.written()
        if self.tls is not None:
            data = self.tls.decrypt(data)
        if data:
            self.client.receive_data(data)
        replies = []
        while isinstance(event := self.client.next_event(), AnyMessage):
            replies.append(event)
        return replies
