"""Buses with software chips: bus 0 holds all of them, bus k (from 1) leads to the k-th chip alone.

Chips that were given the same address answer together on bus 0, as on a real one: each takes what is written, and
what is read is the AND of what they drive, because a 0 on the wire wins.
"""

from __future__ import annotations

from collections.abc import Sequence

from atcaprov.serving.pins import Pins


class Buses:
    """The chips in order, and who answers where."""

    def __init__(self, parts: Sequence[Pins]) -> None:
        self.parts = tuple(parts)

    def on(self, bus: int) -> tuple[Pins, ...]:
        """Return the chips on a bus; none if there is no such bus."""
        if bus == 0:
            return self.parts
        return self.parts[bus - 1 : bus]

    def wake(self, bus: int) -> None:
        """Give the wake pulse, which reaches every chip on the bus."""
        for pins in self.on(bus):
            pins.chip.wake_pulse()

    def write(self, bus: int, address: int, data: bytes) -> bool:
        """Write to the 8-bit `address`; returns whether anyone acknowledged."""
        acknowledged = [pins.write(data) for pins in self._addressed(bus, address)]
        return any(acknowledged)

    def read(self, bus: int, address: int, count: int) -> bytes | None:
        """Read `count` bytes from the 8-bit `address`; None if nobody acknowledged."""
        driven = [data for pins in self._addressed(bus, address) if (data := pins.chip.receive(count)) is not None]
        return bytes(map(_wired_and, zip(*driven, strict=True))) if driven else None

    def find(self, address: int) -> Pins | None:
        """Return the first chip at the 8-bit `address`, or the first chip of all if that is 0."""
        return next((pins for pins in self.parts if address in (0, pins.address)), None)

    def _addressed(self, bus: int, address: int) -> list[Pins]:
        return [pins for pins in self.on(bus) if pins.address == address]


def _wired_and(bits: tuple[int, ...]) -> int:
    level = 0xFF
    for driven in bits:
        level &= driven
    return level
