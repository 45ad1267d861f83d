"""A port that remembers that its board was unplugged, and lets go of it at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from atcaprov.errors import Code, TransportError
from atcaprov.hal.kit.line_port import LinePort, gone


class LosablePort(LinePort):
    """Passes everything to a port until that is gone; then closes it, so that it can be opened anew.

    A board that is plugged in again often has the same name: what holds the dead port would keep the new one out.
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
        """Throw away what has come and was not asked for."""
        with self._in_use():
            self._port.drain()

    def close(self) -> None:
        """Give the port back; closing twice does no harm."""
        self._port.close()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        if self.is_lost:
            raise gone(self.url, "it was unplugged")
        try:
            yield
        except TransportError as error:
            if error.code != Code.DEVICE_NO_REPLY:  # silence is no loss
                self.is_lost = True
                self._port.close()
            raise
