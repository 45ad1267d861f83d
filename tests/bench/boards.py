"""Boards by name: what stands behind a USB port of the bench, and how it behaves."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from atcaprov.kit.board import CdcBoard, HidBoard
from atcaprov.kit.interpreter import Interpreter
from atcaprov.kit.profiles import PROFILES
from tests.bench.cdc_kit import IN_ENDPOINT as CDC_IN
from tests.bench.cdc_kit import CdcKit
from tests.bench.chips import ChipRow, I2cWire, blank_chip
from tests.bench.hid_kit import IN_ENDPOINT as HID_IN
from tests.bench.hid_kit import HidKit
from tests.bench.i2c_tiny_usb import I2cTinyUsb
from tests.bench.ports import BabblingPort, BabblingWire, SilentPort, SilentWire
from tests.bench.usb_device import UsbDevice


class Kind(enum.StrEnum):
    """What the board is to the host."""

    HID = "hid"
    CDC = "cdc"
    I2C = "i2c"


class Behaviour(enum.StrEnum):
    """How the board behaves behind its USB port."""

    SOUND = "sound"
    SILENT = "silent"
    BABBLING = "babbling"


@dataclass(frozen=True)
class BoardPlan:
    """A board as a test orders it; `addresses` are those of its chips, 8-bit, `firmware` that of a kit."""

    name: str
    kind: Kind
    behaviour: Behaviour = Behaviour.SOUND
    addresses: tuple[int, ...] = (0xC0,)
    firmware: str = "parser3"
    serial_number: str = ""
    """USB serial number; most kits have none."""
    first_chip: int = 0
    """The chips' serial numbers count up from here; the plugboard sets it."""

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> BoardPlan:
        """Read what `dataclasses.asdict` and JSON made of a plan."""
        kind, behaviour = Kind(document["kind"]), Behaviour(document["behaviour"])
        return cls(**{**document, "kind": kind, "behaviour": behaviour, "addresses": tuple(document["addresses"])})

    def chip_serial_number(self, index: int) -> bytes:
        """Return the 9 bytes of one of the chips."""
        return b"\x01\x23" + (self.first_chip + index).to_bytes(6, "big") + b"\xee"


class Board:
    """A board that can be plugged in again and again; its chips keep their memory."""

    def __init__(self, plan: BoardPlan) -> None:
        self.plan = plan
        self.row = ChipRow(
            blank_chip(plan.chip_serial_number(index), address) for index, address in enumerate(plan.addresses)
        )

    def plug(self) -> UsbDevice:
        """Give the chips power and return a fresh USB device in front of them."""
        self.row.power_cycle()
        return _DEVICES[self.plan.kind](self)

    def babble(self, device: UsbDevice) -> None:
        """Send noise without being asked, if this board is of that kind."""
        pipe = device.in_pipes.get({Kind.HID: HID_IN, Kind.CDC: CDC_IN}.get(self.plan.kind, 0))
        if self.plan.behaviour is Behaviour.BABBLING and pipe is not None:
            pipe.clear()
            pipe.give(BabblingPort().noise())

    def interpreter(self) -> Interpreter:
        """Return the kit's firmware, just started."""
        return Interpreter(self.row, PROFILES[self.plan.firmware])


def _hid(board: Board) -> UsbDevice:
    ports: dict[Behaviour, Callable[[], HidBoard | SilentPort | BabblingPort]] = {
        Behaviour.SOUND: lambda: HidBoard(board.interpreter()),
        Behaviour.SILENT: SilentPort,
        Behaviour.BABBLING: BabblingPort,
    }
    return HidKit(board.plan.serial_number, ports[board.plan.behaviour]())


def _cdc(board: Board) -> UsbDevice:
    ports: dict[Behaviour, Callable[[], CdcBoard | SilentPort | BabblingPort]] = {
        Behaviour.SOUND: lambda: CdcBoard(board.interpreter()),
        Behaviour.SILENT: SilentPort,
        Behaviour.BABBLING: BabblingPort,
    }
    return CdcKit(board.plan.serial_number, ports[board.plan.behaviour]())


def _i2c(board: Board) -> UsbDevice:
    wires: dict[Behaviour, Callable[[], I2cWire | SilentWire | BabblingWire]] = {
        Behaviour.SOUND: lambda: I2cWire(board.row),
        Behaviour.SILENT: SilentWire,
        Behaviour.BABBLING: BabblingWire,
    }
    return I2cTinyUsb(board.plan.serial_number, wires[board.plan.behaviour]())


_DEVICES: dict[Kind, Callable[[Board], UsbDevice]] = {Kind.HID: _hid, Kind.CDC: _cdc, Kind.I2C: _i2c}
