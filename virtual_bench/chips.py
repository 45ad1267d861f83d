"""Software chips whose board can lose its cable at any command, and the buses they hang on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov import SoftwareChip
from atcaprov.chip.memory_map import I2C_ADDRESS
from atcaprov.emulator.images import blank_608a
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip
from tests.support.faulty_board import BoardFault

NOISE: Final = b"\xff"
_ALL_CHIPS: Final = 0


@dataclass
class CableCut:
    """Where the cable is pulled: at the `count`-th command from now, before or after the chip ran it."""

    count: int
    before: bool

    def is_due(self) -> bool:
        """Count a command; tell whether the cable is pulled at it."""
        self.count -= 1
        return self.count == 0


class CuttableChip(SoftwareChip):
    """A chip whose board loses its cable at a command; from then on nothing reaches the host."""

    cut: CableCut | None = None
    is_cut = False

    def run(self, packet: bytes) -> None:
        """Run a command, unless the cable is pulled before it; its reply is lost if the cable is pulled after it."""
        if self.cut is None or not self.cut.is_due():
            super().run(packet)
            return
        before, self.cut, self.is_cut = self.cut.before, None, True
        if not before:
            super().run(packet)
        self.io.answer(b"")

    def power_cycle(self) -> None:
        """Plug the board in again; a cut that was not reached is off."""
        self.cut, self.is_cut = None, False
        super().power_cycle()


class KitBus:
    """The chips behind a kit's firmware, at their 8-bit addresses (the `ChipBus` of the kit interpreter)."""

    def __init__(self, chips: Sequence[SoftwareChip]) -> None:
        self._chips = {chip.i2c_address << 1: chip for chip in chips}

    def addresses(self) -> Sequence[int]:
        """Return the occupied addresses in the order of the chips."""
        return tuple(self._chips)

    def wake(self, address: int) -> bytes:
        """Wake one chip."""
        chip = self._chips.get(address)
        return chip.wake() if chip else b""

    def idle(self, address: int) -> None:
        """Idle one chip."""
        if chip := self._chips.get(address):
            chip.idle()

    def sleep(self, address: int) -> None:
        """Send one chip to sleep."""
        if chip := self._chips.get(address):
            chip.sleep()

    def exchange(self, address: int, packet: bytes) -> bytes:
        """Let one chip run a packet."""
        chip = self._chips.get(address)
        return chip.exchange(packet) if chip else b""


class I2cWire:
    """The chips on a wire at their 7-bit addresses; `fault` spoils what comes from them."""

    def __init__(self, chips: Sequence[SoftwareChip]) -> None:
        self._buses = Buses([ServedChip(chip) for chip in chips])
        self.fault = BoardFault.NONE

    def write(self, address: int, data: bytes, *, ends: bool = True) -> bool:
        """Carry a write; if `ends` is False, no stop follows it."""
        acknowledged = self._buses.write(_ALL_CHIPS, address << 1, data, ends=ends)
        return self.fault in (BoardFault.NOISE, BoardFault.ENDLESS) or (
            acknowledged and self.fault is not BoardFault.SILENT
        )

    def read(self, address: int, count: int, *, ends: bool = True) -> bytes | None:
        """Return `count` bytes, fewer if the fault cuts them, or None without acknowledge; `ends` is as for `write`."""
        data = self._buses.read(_ALL_CHIPS, address << 1, count, ends=ends)
        if self.fault in (BoardFault.NOISE, BoardFault.ENDLESS):
            return NOISE * count
        if data is None or self.fault is BoardFault.SILENT:
            return None
        return data[: count // 2] if self.fault is BoardFault.CUT else data


def blank_chip(serial_number: bytes, address: int) -> CuttableChip:
    """Return a factory-fresh chip with a serial number (9 bytes) and an 8-bit address."""
    memory = blank_608a(serial_number)
    memory.config[I2C_ADDRESS] = address
    return CuttableChip(memory)
