"""The chips of one board: as a kit's firmware drives them, and as they hang on an I2C bus."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.emulator.chip import Chip
from atcaprov.emulator.factory import blank_608a

I2C_ADDRESS: Final = 16
"""Offset of the address byte in the configuration zone."""


@dataclass
class Cut:
    """Where the cable is pulled: at the `count`-th command from now, before or after the chip ran it."""

    count: int
    before: bool

    def is_due(self) -> bool:
        """Count a command; tell whether it is the one."""
        self.count -= 1
        return self.count == 0


class ChipRow:
    """Chips at 8-bit addresses on one board, behind a kit's firmware (the `ChipBus` of the kit interpreter)."""

    def __init__(self, chips: Iterable[Chip]) -> None:
        self.chips = list(chips)
        self.cut: Cut | None = None
        self.is_cut = False
        """The cable was pulled: nothing of what happens now reaches the host."""
        self._by_address: dict[int, Chip] = {}
        self.power_cycle()

    def power_cycle(self) -> None:
        """Plug the board in: a chip takes its address from its configuration zone."""
        self.is_cut = False
        for chip in self.chips:
            chip.power_cycle()
        self._by_address = {chip.memory.config[I2C_ADDRESS]: chip for chip in self.chips}

    def addresses(self) -> Sequence[int]:
        """Return the occupied addresses in the order of the chips."""
        return tuple(self._by_address)

    def wake(self, address: int) -> bytes:
        """Wake one chip."""
        chip = self._by_address.get(address)
        return chip.wake() if chip else b""

    def idle(self, address: int) -> None:
        """Idle one chip."""
        if chip := self._by_address.get(address):
            chip.idle()

    def sleep(self, address: int) -> None:
        """Send one chip to sleep."""
        if chip := self._by_address.get(address):
            chip.sleep()

    def exchange(self, address: int, packet: bytes) -> bytes:
        """Let one chip run a packet, unless the cable is pulled at this command."""
        chip = self._by_address.get(address)
        if chip is None or self.is_cut:
            return b""
        due = self.cut is not None and self.cut.is_due()
        if due:
            assert self.cut is not None
            before, self.cut, self.is_cut = self.cut.before, None, True
            if before:
                return b""
        reply = chip.exchange(packet)
        return b"" if due else reply


class I2cWire:
    """The same chips on an I2C bus, at 7-bit addresses; the word addresses are those of the data sheet."""

    _RESET, _SLEEP, _IDLE, _COMMAND = range(4)
    _NOTHING: Final = b"\xff"

    def __init__(self, row: ChipRow) -> None:
        self._row = row
        self._output: dict[int, bytes] = {}
        self._pointer: dict[int, int] = {}

    def write(self, address: int, data: bytes) -> bool:
        """Carry a write; one to address 0 wakes every chip and is acknowledged by none."""
        if address == 0:
            self._wake_all()
            return False
        if not self._is_awake(address):
            return False
        if data:
            self._take(address, data[0], data[1:])
        return True

    def read(self, address: int, count: int) -> bytes | None:
        """Read on from where the last read ended; behind the output there is FF."""
        if not self._is_awake(address):
            return None
        start = self._pointer.get(address, 0)
        self._pointer[address] = start + count
        return self._output.get(address, b"")[start : start + count].ljust(count, self._NOTHING)

    def _wake_all(self) -> None:
        for address in self._row.addresses():
            token = self._row.wake(address)
            if token:
                self._give(address >> 1, token)

    def _is_awake(self, address: int) -> bool:
        return address in self._output

    def _give(self, address: int, output: bytes) -> None:
        self._output[address], self._pointer[address] = output, 0

    def _take(self, address: int, word_address: int, data: bytes) -> None:
        if word_address == self._COMMAND:
            self._give(address, self._row.exchange(address << 1, data))
        elif word_address == self._RESET:
            self._pointer[address] = 0
        elif word_address == self._IDLE:
            self._row.idle(address << 1)
            del self._output[address]
        elif word_address == self._SLEEP:
            self._row.sleep(address << 1)
            del self._output[address]


def blank_chip(serial_number: bytes, address: int) -> Chip:
    """Return a chip as it comes from the factory, 9 bytes of serial number, but for its 8-bit address."""
    memory = blank_608a(serial_number)
    memory.config[I2C_ADDRESS] = address
    return Chip(memory)
