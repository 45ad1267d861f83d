"""Software chips served in this process: the real servers in a thread, on ports that the system chooses."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from atcaprov import SoftwareChip
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip, explaining
from atcaprov.serving.serve import LOOPBACK, ServeOptions, serve

LIMIT: Final = 60.0
"""Seconds after which a test that hangs fails."""
ALL_PORTS: Final = ServeOptions(bridge=0, i2c=0, kit=0, wolfssl=0)


@dataclass
class Served:
    """Where the chips can be reached, and what the server said."""

    chips: Sequence[SoftwareChip]
    said: list[str] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)

    def port(self, name: str) -> int:
        """Return the port of a framing."""
        (line,) = (line for line in self.said if line.startswith(f"{name}: "))
        return int(line.rpartition(":")[2])

    @contextmanager
    def client(self, name: str) -> Iterator[Client]:
        """Connect to the port of a framing."""
        with socket.create_connection((LOOPBACK, self.port(name)), LIMIT) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield Client(connection)


@dataclass
class Client:
    """One connection."""

    connection: socket.socket

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self.connection.sendall(data)

    def take(self, count: int) -> bytes:
        """Return exactly `count` bytes."""
        data = b""
        while len(data) < count:
            part = self.connection.recv(count - len(data))
            assert part, f"the server hung up after {data.hex()}"
            data += part
        return data

    def take_line(self) -> bytes:
        """Return the bytes up to LF."""
        line = b""
        while not line.endswith(b"\n"):
            line += self.take(1)
        return line

    def rest(self) -> bytes:
        """Return all bytes until the server closes the connection."""
        data = b""
        while part := self._receive():
            data += part
        return data

    def _receive(self) -> bytes:
        try:
            return self.connection.recv(65536)
        except ConnectionResetError:
            return b""


@contextmanager
def served(*chips: SoftwareChip, ways: ServeOptions = ALL_PORTS, pty: Path | None = None) -> Iterator[Served]:
    """Serve chips (a blank one if none is given) until the block ends."""
    found = Served(chips or (SoftwareChip(),))
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
    wanted = replace(ways, pty=pty)
    awaited = len(wanted.ports()) + (pty is not None)

    def say(line: str) -> None:
        found.said.append(line)
        if len(found.said) == awaited:
            ready.set()

    parts = [ServedChip(chip, explaining(found.reported.append)) for chip in found.chips]
    running = serve(Buses(parts), wanted, say=say, report=found.reported.append, stop=stop)
    thread = threading.Thread(target=_run, args=(loop, running, ready), name="served chips")
    thread.start()
    try:
        assert ready.wait(LIMIT)
        assert len(found.said) == awaited, "the server ended before it was ready"
        yield found
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(LIMIT)
        loop.close()
        assert not thread.is_alive()


def _run(loop: asyncio.AbstractEventLoop, running: object, ready: threading.Event) -> None:
    try:
        loop.run_until_complete(running)  # type: ignore[arg-type]
    finally:
        ready.set()
