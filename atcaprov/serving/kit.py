"""The kit protocol's text lines, answered by the board that atcaprov.kit_protocol emulates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from atcaprov.kit_protocol.firmware import KitFirmware
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip
from atcaprov.serving.framing import Step, Wait


class KitSession:
    """One client of a board; the selected address is its own."""

    def __init__(self, buses: Buses, firmware: KitFirmware) -> None:
        self._chips = _BoardBus(buses)
        self._board = CdcBoard(Interpreter(self._chips, firmware))

    def receive(self, data: bytes) -> Iterator[Step]:
        """Take bytes of the client; see `FramingSession`; an unknown line gets the firmware's error answer."""
        answers = self._board.receive_data(data)
        if seconds := self._chips.lag():
            yield Wait(seconds)
        if answers:
            yield answers


class _BoardBus:
    """The chips as the board's firmware sees them; a `ChipBus` of the interpreter."""

    def __init__(self, buses: Buses) -> None:
        self._buses = buses
        self._used: set[ServedChip] = set()

    def lag(self) -> float:
        """Return the longest lag of the chips that were used since the last call."""
        used, self._used = self._used, set()
        return max((pins.lag() for pins in used), default=0.0)

    def addresses(self) -> Sequence[int]:
        return [pins.address for pins in self._buses.parts]

    def wake(self, address: int) -> bytes:
        pins = self._at(address)
        return pins.chip.wake() if pins else b""

    def idle(self, address: int) -> None:
        if pins := self._at(address):
            pins.chip.idle()

    def sleep(self, address: int) -> None:
        if pins := self._at(address):
            pins.chip.sleep()

    def exchange(self, address: int, packet: bytes) -> bytes:
        pins = self._at(address)
        return pins.exchange(packet) if pins else b""

    def _at(self, address: int) -> ServedChip | None:
        pins = self._buses.find(address) if address else None
        if pins is not None:
            self._used.add(pins)
        return pins
