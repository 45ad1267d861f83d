"""A HAL that writes down what passes through another one."""

from __future__ import annotations

import time
from collections.abc import Callable

from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.hal.base import ForwardingHal, Hal
from atcaprov.hal.tracing.masking import PublicSlots, masked_packets
from atcaprov.hal.tracing.trace_file import TraceEvent, TraceWriter


class TracedHal(ForwardingHal):
    """Passes every call to `hal` and writes it to `writer`.

    With `recording` every byte is kept, so that the file can be replayed: it holds the secrets that went over the bus,
    and a file that cannot be written ends the call with the writer's UsageError. Without it, bytes that could belong
    to a secret are masked, and a file that cannot be written ends the trace, not the work with the chip: `on_loss`
    gets the error when the HAL is closed.
    """

    def __init__(
        self,
        hal: Hal,
        writer: TraceWriter,
        *,
        recording: bool = False,
        on_loss: Callable[[UsageError], None] = lambda error: None,
    ) -> None:
        super().__init__(hal)
        self._writer = writer
        self._recording = recording
        self._public = PublicSlots()
        self._on_loss = on_loss
        self._loss: UsageError | None = None
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
        """Close the file and release the chip."""
        try:
            self._note(self._writer.close)
        finally:
            self._hal.close()
        if self._loss is not None:
            self._on_loss(self._loss)
            self._on_loss = lambda error: None

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
            event = TraceEvent(do, sent, got, error, begin - self._start, took)
            self._note(lambda: self._writer.add(event))
        return reply

    def _note(self, write: Callable[[], None]) -> None:
        if self._loss is not None:
            return
        try:
            write()
        except UsageError as error:
            if self._recording:
                raise  # a recording must have no gap
            self._loss = error
            self._writer.give_up()

    def _texts(self, packet: bytes, reply: bytes) -> tuple[str, str]:
        if self._recording:
            return packet.hex(), reply.hex()
        texts = masked_packets(packet, reply, self._public)
        self._public.learn(packet, reply)
        return texts
