"""One software chip on a board: whole commands as a board's firmware runs them, and bare I2C transactions."""

from __future__ import annotations

import enum

from atcaprov.emulator.chip import Chip
from atcaprov.serving.clock import lag
from atcaprov.serving.steps import Observer


class WordAddress(enum.IntEnum):
    """First byte of a write transaction."""

    RESET = 0x00
    SLEEP = 0x01
    IDLE = 0x02
    COMMAND = 0x03


class Pins:
    """A chip with its two wires; `observer` hears of each command after it has run."""

    def __init__(self, chip: Chip, observer: Observer | None = None) -> None:
        self.chip = chip
        self.reply = b""
        """What `exchange` returned last; a board's firmware gives it to whoever asks."""
        self._observer = observer

    @property
    def address(self) -> int:
        """8-bit address that the chip answers to."""
        return self.chip.i2c_address << 1

    def exchange(self, packet: bytes) -> bytes:
        """Run one command to its end and return the reply, which is due after `lag` seconds; empty if there is none."""
        self.reply = self.chip.exchange(packet)
        if self.reply:
            self._tell(packet)
        return self.reply

    def lag(self) -> float:
        """Return for how many seconds of real time what the chip has done is still to come."""
        return lag(self.chip.clock)

    def write(self, data: bytes) -> bool:
        """Take a write transaction and return whether the chip acknowledged; if not, nothing has changed."""
        if not data:
            return self.chip.listens()
        if data[0] == WordAddress.COMMAND:
            taken = self.chip.send(data[1:])
            if taken:
                self._tell(data[1:])
            return taken
        if not self.chip.listens():
            return False
        if data[0] == WordAddress.RESET:
            self.chip.rewind()
        elif data[0] == WordAddress.SLEEP:
            self.chip.sleep()
        elif data[0] == WordAddress.IDLE:
            self.chip.idle()
        return True

    def _tell(self, packet: bytes) -> None:
        if self._observer is not None:
            self._observer(self.chip, packet)
