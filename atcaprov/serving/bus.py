"""I2C buses with software chips, byte by byte: bus 0 holds all of them, bus k (from 1) leads to the k-th chip alone.

Chips that were given the same address answer together on bus 0, as on a real one: each takes what is written, and
what is read is the AND of what they drive, because a 0 on the wire wins.

A sleeping chip reacts to one thing: SDA low for 60 us. So on a slow bus any byte with enough zero bits wakes it,
whichever chip it addresses: at 100 kHz six in a row, such as in the address byte C0, at 133 kHz eight (DS20005927A,
6.1.1). Traffic of other chips does so up to about 300 kHz (ATECC608B-TFLXTLS data sheet, 7.1.1): two zero bytes and
their acknowledges.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from atcaprov.emulator.i2c_port import READ_BIT
from atcaprov.serving.chips import ServedChip

DEFAULT_SPEED: Final = 100_000
"""In Hz: what Linux sets up, and what a driver without a wake pulse of its own needs."""
WAKE_MICROSECONDS: Final = 60
_LONGEST_RUN: Final = 18
_MILLION: Final = 1_000_000
_HIGH: Final = 0xFF
_BITS: Final = tuple(f"{byte:08b}" for byte in range(256))
_ZEROS_AHEAD: Final = tuple(8 - len(bits.lstrip("0")) for bits in _BITS)
_ZEROS_BEHIND: Final = tuple(8 - len(bits.rstrip("0")) for bits in _BITS)
_ZEROS_IN_A_ROW: Final = tuple(max(map(len, bits.split("1"))) for bits in _BITS)


class Bus:
    """Two wires and the chips on them. `speed` is the clock's, in Hz; bytes take no time of their own."""

    def __init__(self, parts: Sequence[ServedChip], speed: int) -> None:
        self.parts = tuple(parts)
        self.speed = speed
        self._low_bits = 0
        self._addressed: list[ServedChip] = []

    def start(self, address: int) -> bool:
        """Send a start, or a repeated one, and an address byte; return whether a chip acknowledged."""
        self._rise()
        self._addressed = [pins for pins in self.parts if pins.port.start(address)]
        self._carry(address, acknowledged=bool(self._addressed))
        return bool(self._addressed)

    def write(self, byte: int) -> bool:
        """Send a byte; return whether a chip acknowledged."""
        answers = [pins.port.write(byte) for pins in self._addressed]  # each of them has to see the byte
        acknowledged = any(answers)
        self._carry(byte, acknowledged=acknowledged)
        return acknowledged

    def read(self, *, is_last: bool) -> int:
        """Return the byte that the chips drive; all but the last one are acknowledged."""
        level = _HIGH
        for pins in self._addressed:
            level &= pins.port.read()
        self._carry(level, acknowledged=not is_last)
        return level

    def stop(self) -> None:
        """Send a stop."""
        self._rise()
        self._addressed = []
        for pins in self.parts:
            pins.stop()

    def pulse(self, microseconds: int) -> None:
        """Hold SDA low for a time, as a program does that drives the pin itself."""
        self._rise()
        if microseconds >= WAKE_MICROSECONDS:
            self._wake()

    def _carry(self, byte: int, *, acknowledged: bool) -> None:
        """Count the bits of a byte and the one behind it: SDA wakes when it rises after it was low for long enough."""
        if byte:
            self._low_bits = max(self._low_bits + _ZEROS_AHEAD[byte], _ZEROS_IN_A_ROW[byte])
            self._rise()
            self._low_bits = _ZEROS_BEHIND[byte]
        else:
            self._low_bits += 8
        if acknowledged:
            self._low_bits += 1
        else:
            self._rise()

    def _rise(self) -> None:
        low_bits, self._low_bits = min(self._low_bits, _LONGEST_RUN), 0
        if low_bits * _MILLION >= WAKE_MICROSECONDS * self.speed:
            self._wake()

    def _wake(self) -> None:
        for pins in self.parts:
            pins.chip.wake_pulse()


class Buses:
    """The chips in order, and the buses that lead to them; a bus that does not exist is one without chips."""

    def __init__(self, parts: Sequence[ServedChip], speed: int = DEFAULT_SPEED) -> None:
        self.parts = tuple(parts)
        self._speed = speed
        self._buses = [Bus(self.parts, speed), *(Bus((pins,), speed) for pins in self.parts)]

    def bus(self, number: int) -> Bus:
        """Return a bus by its number."""
        return self._buses[number] if number < len(self._buses) else Bus((), self._speed)

    def write(self, number: int, address: int, data: Iterable[int], *, ends: bool = True) -> bool:
        """Write to the 8-bit `address`; return whether every byte was acknowledged.

        The transfer ends at the first byte that is not acknowledged. With `ends` False no stop follows: the next
        message of the bus begins with a repeated start.
        """
        bus = self.bus(number)
        acknowledged = bus.start(address) and all(bus.write(byte) for byte in data)
        if ends or not acknowledged:
            bus.stop()
        return acknowledged

    def read(self, number: int, address: int, count: int, *, ends: bool = True) -> bytes | None:
        """Read `count` bytes from the 8-bit `address`; None if no chip acknowledged. `ends` is as for `write`."""
        bus = self.bus(number)
        data = None
        if bus.start(address | READ_BIT):
            data = bytes(bus.read(is_last=left == 1) for left in range(count, 0, -1))
        if ends or data is None:
            bus.stop()
        return data

    def find(self, address: int) -> ServedChip | None:
        """Return the first chip at the 8-bit `address`, or the first chip of all if that is 0."""
        return next((pins for pins in self.parts if address in (0, pins.address)), None)
