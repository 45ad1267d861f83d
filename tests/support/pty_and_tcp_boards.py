"""Boards behind real file descriptors: a pseudo-terminal or a TCP port, served by a thread."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import tty
from collections.abc import Iterator
from typing import Any

from tests.support.faulty_board import NOISE, BoardFault, FaultyBoard

_READ_SIZE = 4096


class PtyBoard:
    """A board at a pseudo-terminal; `path` is what a program opens.

    `unplug` closes the line; a board whose `unplugged` is set does so in the middle of an answer.
    """

    def __init__(self, board: FaultyBoard) -> None:
        self.board = board
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)
        self._stop_out, self._stop_in = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def unplug(self) -> None:
        os.write(self._stop_in, b"x")
        self._thread.join()

    def close(self) -> None:
        self.unplug()
        os.close(self._stop_in)
        os.close(self._stop_out)

    def _serve(self) -> None:
        try:
            self._answer()
        finally:
            os.close(self._master)
            os.close(self._slave)

    def _answer(self) -> None:
        while not self.board.unplugged:
            endless = self.board.fault is BoardFault.ENDLESS
            ready, _, _ = select.select([self._master, self._stop_out], [], [], 0.001 if endless else 0.02)
            if self._stop_out in ready:
                return
            answer = NOISE if endless else b""
            if self._master in ready:
                answer += self.board.receive_data(os.read(self._master, _READ_SIZE))
            if self.board.unplugged:
                return
            with contextlib.suppress(BlockingIOError):
                os.write(self._master, answer)


class TcpBoard:
    """A board at a TCP port of the loopback interface; every connection reaches the same board."""

    def __init__(self, board: FaultyBoard, port: int = 0) -> None:
        self.board = board
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._stop_out, self._stop_in = os.pipe()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def unplug(self) -> None:
        if self._thread.is_alive():
            os.write(self._stop_in, b"x")
            self._thread.join()
            for connection in (*self._connections, self._listener):
                connection.close()

    def close(self) -> None:
        self.unplug()
        os.close(self._stop_in)
        os.close(self._stop_out)

    def _serve(self) -> None:
        while True:
            endless = self.board.fault is BoardFault.ENDLESS
            sources: list[Any] = [self._listener, self._stop_out, *self._connections]
            ready, _, _ = select.select(sources, [], [], 0.001 if endless else 0.02)
            if self._stop_out in ready:
                return
            for source in ready:
                if source is self._listener:
                    self._connections.append(self._listener.accept()[0])
                else:
                    self._take(source)
            if endless:
                for connection in self._connections:
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        connection.send(NOISE, socket.MSG_DONTWAIT)

    def _take(self, connection: socket.socket) -> None:
        data = b""
        with contextlib.suppress(ConnectionError):
            data = connection.recv(_READ_SIZE)
        if not data:
            self._connections.remove(connection)
            connection.close()
            return
        with contextlib.suppress(ConnectionError):
            connection.sendall(self.board.receive_data(data))


@contextlib.contextmanager
def plugged(board: PtyBoard | TcpBoard) -> Iterator[None]:
    try:
        yield
    finally:
        board.close()
