"""A HAL that writes down what passes through another one."""

from __future__ import annotations

import time
from collections.abc import Callable

from atcaprov.errors import AtcaProvError, Code
from atcaprov.hal.base import Hal
from atcaprov.hal.trace import TraceEvent, TraceWriter, masked_packets


class TracedHal(Hal):
    """Passes every call to `hal` and writes it to `writer`.

    `recording` keeps every byte, so that the trace can be replayed; such a file holds the secrets that went over the
    bus. Without it, bytes that could belong to a secret are masked.
    """

    def __init__(self, hal: Hal, writer: TraceWriter, *, recording: bool = False) -> None:
        self.url = hal.url
        self._hal = hal
        self._writer = writer
        self._recording = recording
        self._start = time.monotonic()

    def wake(self) -> None:
        """Wake the chip."""
        self._call("wake", self._hal.wake)

    def idle(self) -> None:
        """Send the chip to idle."""
        self._call("idle", self._hal.idle)

    def sleep(self) -> None:
        """Send the chip to sleep."""
        self._call("sleep", self._hal.sleep)

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply."""
        return self._call("exchange", lambda: self._hal.exchange(packet), packet) or b""

    def close(self) -> None:
        """Close the file and the way to the chip."""
        self._writer.close()
        self._hal.close()

    def _call(self, do: str, action: Callable[[], bytes | None], packet: bytes = b"") -> bytes | None:
        begin = time.monotonic()
        reply: bytes | None = None
        error = ""
        try:
            reply = action()
        except AtcaProvError as failure:
            error = failure.code
            raise
        except BaseException:
            error = str(Code.INTERNAL)
            raise
        finally:
            took = time.monotonic() - begin
            sent, got = self._texts(packet, reply or b"")
            self._writer.add(TraceEvent(do, sent, got, error, begin - self._start, took))
        return reply

    def _texts(self, packet: bytes, reply: bytes) -> tuple[str, str]:
        return (packet.hex(), reply.hex()) if self._recording else masked_packets(packet, reply)
