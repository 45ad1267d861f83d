"""The bench's device URLs in place of those without hardware, so that the HAL contract suite runs over them.

Import this before `tests.hal.test_contract`, which reads the table of ways when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from atcaprov import Hal
from atcaprov.emulator.chip import Power
from atcaprov.hal.i2c.hal import open_i2c
from atcaprov.hal.kit.cdc import open_kit_cdc
from atcaprov.hal.kit.hid import open_kit_hid
from atcaprov.hal.kit.line_port import KitTimeouts
from tests.hal import ways as contract
from tests.support.faulty_board import BoardFault
from virtual_bench import ways
from virtual_bench.boards import BoardPlan
from virtual_bench.plugboard import Plugboard

_EVERY_FAULT = tuple(fault for fault in BoardFault if fault is not BoardFault.NONE)
LIMITS = KitTimeouts(greeting=1.0, control=1.0, talk=1.0, resync=1.0)
"""Shorter than a user's, so that silent boards cost less; an exchange takes some 20 ms here."""


class _Memory:
    def __init__(self, chip: BenchChip) -> None:
        self._chip = chip

    @property
    def config(self) -> bytes:
        return self._chip.plugboard.chip(self._chip.board).config


class BenchChip:
    """The chip of a board in the other process, as far as the contract looks at it."""

    def __init__(self, plugboard: Plugboard, board: str) -> None:
        self.plugboard = plugboard
        self.board = board
        self.memory = _Memory(self)

    @property
    def power(self) -> Power:
        return self.plugboard.chip(self.board).power

    def wake(self) -> None:
        self.plugboard.chip(self.board, act="wake")

    def idle(self) -> None:
        self.plugboard.chip(self.board, act="idle")

    def exchange(self, packet: bytes) -> bytes:
        return self.plugboard.exchange(self.board, packet)

    def power_cycle(self) -> None:
        self.plugboard.chip(self.board, act="power_cycle")


class BenchWay(contract.Way):
    """One plugged board; it stays plugged for the next test of the same way, which gets a blank chip behind it."""

    plugboard: ClassVar[Plugboard]
    way: ClassVar[ways.Way]

    def __init__(self) -> None:
        self.board = f"contract-{self.way}"
        self._node = self.plugboard.renew(BoardPlan(self.board, self.way.kind))
        self.chip: Any = BenchChip(self.plugboard, self.board)

    def open(self) -> Hal:
        rest = self.way.url(self._node).partition(":")[2]
        return _OPENERS[self.way](rest)

    def spoil(self, fault: BoardFault) -> None:
        self.plugboard.spoil(self.board, fault)

    def unplug(self) -> None:
        self.plugboard.pull(self.board)


class HidrawWay(BenchWay):
    way = ways.Way.HIDRAW
    faults = _EVERY_FAULT


class LibusbWay(BenchWay):
    way = ways.Way.LIBUSB
    faults = (BoardFault.SILENT, BoardFault.ENDLESS)  # what is in the reports does not depend on who fetches them


class CdcWay(BenchWay):
    way = ways.Way.CDC
    faults = _EVERY_FAULT


class I2cWay(BenchWay):
    way = ways.Way.I2C
    faults = (BoardFault.SILENT, BoardFault.CUT, BoardFault.NOISE)


_OPENERS: dict[ways.Way, Callable[[str], Hal]] = {
    ways.Way.HIDRAW: lambda rest: open_kit_hid(rest, LIMITS),
    ways.Way.LIBUSB: lambda rest: open_kit_hid(rest, LIMITS),
    ways.Way.CDC: lambda rest: open_kit_cdc(rest, LIMITS),
    ways.Way.I2C: lambda rest: open_i2c(rest, seconds=1.0),
}

contract.WAYS.clear()
contract.WAYS.update({str(kind.way): kind for kind in (HidrawWay, LibusbWay, CdcWay, I2cWay)})
