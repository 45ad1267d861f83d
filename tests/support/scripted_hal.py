"""A HAL around a software chip whose answers a test can replace."""

from __future__ import annotations

from collections.abc import Callable

from atcaprov import EmulatedHal, Hal, open_hal
from atcaprov.emulator.memory import Memory

Answer = Callable[[bytes], bytes]


class ScriptedHal(Hal):
    """Pass packets to a blank software chip, or to `answer` when it is set; keep every packet."""

    def __init__(self, url: str = "emulator:") -> None:
        self.url = url
        self.chip = open_hal(url)
        self.answer: Answer | None = None
        self.packets: list[bytes] = []
        self.closed = 0

    @property
    def memory(self) -> Memory:
        """The memory of the software chip."""
        assert isinstance(self.chip, EmulatedHal)
        return self.chip.chip.memory

    def wake(self) -> None:
        self.chip.wake()

    def idle(self) -> None:
        self.chip.idle()

    def sleep(self) -> None:
        self.chip.wake()  # as every HAL: an idle chip hears nothing else
        self.chip.sleep()

    def exchange(self, packet: bytes) -> bytes:
        self.packets.append(packet)
        return (self.answer or self.chip.exchange)(packet)

    def close(self) -> None:
        self.closed += 1
        self.chip.close()
