"""A volatile disk on a Unix socket, for QEMU: one thread, which answers one request after the other."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from virtual_bench.nbd import NbdConnection
from virtual_bench.volatile_disk import VolatileDisk

_CHUNK: Final = 1024 * 1024


@contextlib.contextmanager
def served_disk(disk: VolatileDisk, path: Path) -> Iterator[None]:
    """Serve a disk at a socket, to one client at a time, until the block ends; all clients must have gone then."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_accept, args=(listener, disk), name="nbd")
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # wakes the thread
            thread.join()
            path.unlink()


def _accept(listener: socket.socket, disk: VolatileDisk) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, contextlib.suppress(ConnectionError):
            _serve(client, NbdConnection(disk))


def _serve(client: socket.socket, connection: NbdConnection) -> None:
    client.sendall(connection.greeting())
    while not connection.ended and (data := client.recv(_CHUNK)):
        client.sendall(connection.receive_data(data))
