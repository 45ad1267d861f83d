"""A `MemoryCa` behind a TCP port, for whole clients. A test decides what becomes of each report, byte by byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator

from atcaprov.wire.connection import Closed, Connection, Role
from atcaprov.wire.messages import AnyMessage, ReportRequest
from tests.support.in_memory_server import MemoryCa
from tests.support.server import ServerAddress

Answer = Callable[[ReportRequest], AnyMessage]


class ServedCa:
    """Answers as `authority` does.

    `answer` replaces the answer to a report. With `cut`, the connection ends after so many bytes of the answer to a
    report; with `drop`, it ends after so many bytes of the report, which is not recorded then.
    """

    def __init__(self, authority: MemoryCa) -> None:
        self.authority = authority
        authority.gives_challenges = True
        self.answer: Answer | None = None
        self.cut: int | None = None
        self.drop: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def address(self) -> ServerAddress:
        host, port = self._listener.getsockname()[:2]
        return ServerAddress(host, port)

    def close(self) -> None:
        """Stop listening and end all connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        wire = Connection(Role.SERVER)
        with connection, contextlib.suppress(OSError):
            while self._exchange(wire, connection):
                pass

    def _exchange(self, wire: Connection, connection: socket.socket) -> bool:
        head = b""
        while (request := wire.next_event()) is None:
            data = connection.recv(wire.bytes_wanted if self.drop is None else 1)
            wire.receive_data(data)
            head += data
            if self.drop is not None and head[3:4] == bytes([ReportRequest.TYPE]) and len(head) >= self.drop:
                return False
        if isinstance(request, Closed):
            return False
        if not isinstance(request, ReportRequest):
            connection.sendall(wire.send(self.authority.answer(request)))
            return True
        sent = wire.send(self.answer(request) if self.answer else self.authority.answer(request))
        connection.sendall(sent if self.cut is None else sent[: self.cut])
        return self.cut is None


@contextlib.contextmanager
def served_ca(authority: MemoryCa) -> Iterator[ServedCa]:
    """Serve until the block ends."""
    served = ServedCa(authority)
    try:
        yield served
    finally:
        served.close()
