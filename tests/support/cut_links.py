"""Ways to servers that a test cuts at a message: before it is passed on, in its middle, or when it was passed on."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from atcaprov.wire.framing import HEADER_SIZE, Header


class Cut(Enum):
    """Where a message is cut; each has its number within the message."""

    BEFORE = 0
    WITHIN = 1
    AFTER = 2


@dataclass
class Scissors:
    """Cut one connection at a message, counted over all links from 0; with `for_good`, its server is away after that.

    `passed` counts the messages of both directions.
    """

    at: int | None = None
    where: Cut = Cut.BEFORE
    for_good: bool = False
    passed: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_message(self) -> Cut | None:
        """Return where to cut the message that has come; None: not at all."""
        with self.lock:
            number, self.passed = self.passed, self.passed + 1
        return self.where if number == self.at else None


class Link:
    """A TCP port that leads to a server."""

    def __init__(self, server: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        """With `tls`, a server context, clients speak TLS to it."""
        self.handshakes = 0
        self._tls: Final = tls
        self.scissors = Scissors()
        self.away = False
        """Whether connections are closed as soon as they are made."""
        self._server: Final = server
        self._listener: Final = socket.create_server(("127.0.0.1", 0))
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def place(self) -> tuple[str, int]:
        """Where it listens."""
        host, port = self._listener.getsockname()
        return host, port

    def close(self) -> None:
        """End; connections end with their clients."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(client,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._server) as server:
            ours = client if self._tls is None else self._tls.wrap_socket(client, server_side=True)
            self.handshakes += self._tls is not None
            with ours:
                while not self.away and self._pass(ours, server) and self._pass(server, ours):
                    pass

    def _pass(self, source: socket.socket, target: socket.socket) -> bool:
        """Pass one message on; return whether the connection goes on."""
        message = _message(source)
        if message is None:
            return False
        cut = self.scissors.next_message()
        target.sendall(message if cut in (None, Cut.AFTER) else message[: len(message) // 2 * cut.value])
        self.away = self.away or (cut is not None and self.scissors.for_good)
        return cut is None


def _message(source: socket.socket) -> bytes | None:
    """Return a whole message; None at the end of the connection."""
    header = _exactly(source, HEADER_SIZE)
    return None if header is None else header + (_exactly(source, Header.parse(header).body_length) or b"")


def _exactly(source: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        part = source.recv(size - len(data))
        if not part:
            return None
        data += part
    return data


@contextlib.contextmanager
def links_to(*servers: tuple[str, int], tls: ssl.SSLContext | None = None) -> Iterator[list[Link]]:
    """Yield a link to each server."""
    links = [Link(server, tls) for server in servers]
    try:
        yield links
    finally:
        for link in links:
            link.close()
