"""A chip's two wires: starts, bytes and stops in, acknowledges and bytes out (DS20005927A, section 6).

A write begins with a word address. Bytes after word address 03 go into the command; it starts with the stop condition
after its last byte, not with a repeated start. Word addresses 00 to 02 take effect when their message ends.
"""

from __future__ import annotations

import enum
from typing import Final

from atcaprov.emulator.chip import Chip

READ_BIT: Final = 0x01
"""Lowest bit of an address byte: 1 in a read."""
_HIGH: Final = 0xFF


class WordAddress(enum.IntEnum):
    """First byte of a write. Other values have no effect."""

    RESET = 0x00
    SLEEP = 0x01
    IDLE = 0x02
    COMMAND = 0x03


class _Message(enum.Enum):
    WRITE = enum.auto()
    READ = enum.auto()


class I2cPort:
    """The I2C interface of one chip. It ignores messages to other addresses."""

    __slots__ = ("_message", "_word_address", "chip")

    def __init__(self, chip: Chip) -> None:
        self.chip = chip
        self._message: _Message | None = None
        self._word_address: int | None = None

    def start(self, address: int) -> bool:
        """Begin a message with an address byte, after any start condition; return whether the chip acknowledged."""
        self._end_message()
        if address >> 1 != self.chip.i2c_address:
            return False
        is_read = bool(address & READ_BIT)
        if not (self.chip.can_be_read() if is_read else self.chip.listens()):
            return False
        self._message = _Message.READ if is_read else _Message.WRITE
        return True

    def write(self, byte: int) -> bool:
        """Take a byte of a write; return whether the chip acknowledged."""
        if self._message is not _Message.WRITE:
            return False
        if self._word_address is not None:
            return self._word_address != WordAddress.COMMAND or self.chip.take(bytes((byte,)))
        self._word_address = byte
        if byte == WordAddress.COMMAND:
            self.chip.io.reread()
        return True

    def read(self) -> int:
        """Return the byte that the chip sends; FF if it sends none."""
        found = self.chip.receive(1) if self._message is _Message.READ else None
        return found[0] if found else _HIGH

    def stop(self) -> bytes:
        """End the transfer; return the packet of the command that starts with it, or b""."""
        self._end_message()
        return self.chip.begin()

    def _end_message(self) -> None:
        word_address, self._word_address, self._message = self._word_address, None, None
        if word_address == WordAddress.RESET:
            self.chip.rewind()
        elif word_address == WordAddress.SLEEP:
            self.chip.sleep()
        elif word_address == WordAddress.IDLE:
            self.chip.idle()
