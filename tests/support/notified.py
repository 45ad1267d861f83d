"""A service manager for tests: the socket that systemd gives to services, and what comes to it (sd_notify(3))."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.support.server import PATIENCE


class NotifySocket:
    """Receives the datagrams of a service."""

    def __init__(self, path: Path, channel: socket.socket) -> None:
        self.path = path
        self._channel = channel

    def next(self) -> dict[str, str]:
        """Wait for the next datagram; return its fields."""
        text = self._channel.recv(4096).decode()
        return dict(line.split("=", 1) for line in text.splitlines())

    def wait_for(self, field: str) -> dict[str, str]:
        """Wait for a datagram that has a field; return its fields."""
        while field not in (found := self.next()):
            pass
        return found

    def waiting(self) -> list[dict[str, str]]:
        """Return what has come and was not read, without waiting."""
        found = []
        self._channel.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.next())
        self._channel.settimeout(PATIENCE)
        return found


@contextlib.contextmanager
def notify_socket(folder: Path) -> Iterator[NotifySocket]:
    """Open one in a folder, whose path must be short."""
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(path))
        channel.settimeout(PATIENCE)
        yield NotifySocket(path, channel)
