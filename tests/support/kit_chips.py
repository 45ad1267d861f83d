"""Software chips on a board's bus, as the kit interpreter drives them."""

from __future__ import annotations

from collections.abc import Sequence

from atcaprov import SoftwareChip


class EmulatedBus:
    """Chips by 8-bit address; `talks` counts the packets that reached one."""

    def __init__(self, chips: dict[int, SoftwareChip] | None = None) -> None:
        self.chips = {0xC0: SoftwareChip()} if chips is None else chips
        self.talks = 0

    def addresses(self) -> Sequence[int]:
        return tuple(self.chips)

    def wake(self, address: int) -> bytes:
        return self.chips[address].wake() if address in self.chips else b""

    def idle(self, address: int) -> None:
        if address in self.chips:
            self.chips[address].idle()

    def sleep(self, address: int) -> None:
        if address in self.chips:
            self.chips[address].sleep()

    def exchange(self, address: int, packet: bytes) -> bytes:
        self.talks += 1
        return self.chips[address].exchange(packet) if address in self.chips else b""
