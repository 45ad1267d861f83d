"""A port that carries lines, and the time limits of all ports."""

from __future__ import annotations

import abc
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from atcaprov.errors import Code, TransportError
from atcaprov.hal.errors import gone, silent
from atcaprov.kit_protocol.framing import LineBuffer


@dataclass(frozen=True)
class KitTimeouts:
    """Time limits in seconds, after which a board counts as silent."""

    greeting: float = 0.7
    """For one of the `GREETINGS` first questions; a board that resets when its port opens misses some."""
    control: float = 1.5
    """For wake, idle and select."""
    talk: float = 4.0
    """For a command: longer than the longest of the chip, a self test at clock divider M2 of 2.4 s."""
    resync: float = 2.0
    """For getting into step again after an error."""
    scan: float = 5.0
    """For the whole device table, which a kit tells in less than a second."""
    sleep: float = 1.0
    """For all that sends a chip to sleep; a chip that is left awake falls asleep by its watchdog."""


GREETINGS: Final = 3


class LinePort(abc.ABC):
    """Sends messages and receives lines; every call ends in time. Raises `TransportError` when the port is gone."""

    url: str
    """Device URL of the port, for messages."""

    @abc.abstractmethod
    def send(self, message: bytes) -> None:
        """Send a message, LF included."""

    @abc.abstractmethod
    def receive(self, seconds: float) -> bytes:
        """Return the next line without LF.

        Raises:
            TransportError: none came in time (code DEVICE_NO_REPLY), or the port is gone.
        """

    @abc.abstractmethod
    def drain(self) -> None:
        """Discard received data that answers no request; return even if the board never stops sending."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close the port; closing twice does no harm."""


class StreamPort(LinePort):
    """A port that gives bytes as they come, in which lines end with LF."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._buffer = LineBuffer()
        self._lines: list[bytes] = []

    def receive(self, seconds: float) -> bytes:
        """Return the next line without LF."""
        deadline = time.monotonic() + seconds
        while not self._lines:
            left = deadline - time.monotonic()
            if left <= 0:
                raise silent(self.url, seconds)
            self._lines += self._buffer.receive_data(self._read(left))
        return self._lines.pop(0)

    def drain(self) -> None:
        """Discard received data that answers no request."""
        self._buffer.clear()
        self._lines.clear()
        self._drain_bytes()

    @abc.abstractmethod
    def _read(self, seconds: float) -> bytes:
        """Return what has come, after at most `seconds`; nothing if nothing came."""

    @abc.abstractmethod
    def _drain_bytes(self) -> None:
        """Discard received bytes."""


class ClosingPort(LinePort):
    """Passes everything to a port until that is lost; then closes it, so that it can be opened again.

    A board that is plugged in again often has the same name: the dead port would keep the new one closed.
    """

    def __init__(self, port: LinePort) -> None:
        self.url = port.url
        self.is_lost = False
        self._port = port

    def send(self, message: bytes) -> None:
        """Send a message, LF included."""
        with self._in_use():
            self._port.send(message)

    def receive(self, seconds: float) -> bytes:
        """Return the next line without LF."""
        with self._in_use():
            return self._port.receive(seconds)

    def drain(self) -> None:
        """Discard received data that answers no request."""
        with self._in_use():
            self._port.drain()

    def close(self) -> None:
        """Close the port; closing twice does no harm."""
        self._port.close()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        if self.is_lost:
            raise gone(self.url, "it was unplugged")
        try:
            yield
        except TransportError as error:
            if error.code != Code.DEVICE_NO_REPLY:  # a silent board is still there
                self.is_lost = True
                self._port.close()
            raise
