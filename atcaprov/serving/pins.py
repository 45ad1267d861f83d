"""One software chip on a board: whole commands as a board's firmware runs them, and its two wires on a bus."""

from __future__ import annotations

from atcaprov.emulator.chip import Chip
from atcaprov.emulator.i2c_port import I2cPort
from atcaprov.serving.chips import lag
from atcaprov.serving.framing import Observer


class Pins:
    """A chip with its two wires; `observer` hears of each command after it has run."""

    def __init__(self, chip: Chip, observer: Observer | None = None) -> None:
        self.chip = chip
        self.port = I2cPort(chip)
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
        if packet and self.reply:
            self._tell(packet)
        return self.reply

    def lag(self) -> float:
        """Return for how many seconds of real time what the chip has done is still to come."""
        return lag(self.chip.clock)

    def stop(self) -> None:
        """End a transfer on the wires, and begin with a command that is whole."""
        packet = self.port.stop()
        if packet:
            self._tell(packet)

    def _tell(self, packet: bytes) -> None:
        if self._observer is not None:
            self._observer(self.chip, packet)
