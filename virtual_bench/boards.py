"""Boards: what stands behind a USB port of the bench, and how it misbehaves."""

from __future__ import annotations

import enum
import itertools
from dataclasses import dataclass
from typing import Any, Final

from atcaprov.kit_protocol.firmware import FIRMWARES
from atcaprov.kit_protocol.framing import to_reports
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from tests.support.faulty_board import NOISE, BoardFault, FaultyBoard
from virtual_bench.cdc_kit import IN_ENDPOINT as CDC_IN
from virtual_bench.cdc_kit import CdcKit
from virtual_bench.chips import CuttableChip, I2cWire, KitBus, blank_chip
from virtual_bench.hid_kit import IN_ENDPOINT as HID_IN
from virtual_bench.hid_kit import HidKit
from virtual_bench.i2c_tiny_usb import I2cTinyUsb
from virtual_bench.usb_device import UsbDevice

_LINE_END: Final = b"\n"


class BoardKind(enum.StrEnum):
    """The kind of device that the host sees."""

    HID = "hid"
    CDC = "cdc"
    I2C = "i2c"


@dataclass(frozen=True)
class BoardPlan:
    """The board that a test asks for; `addresses` are those of its chips, 8-bit, `firmware` that of a kit."""

    name: str
    kind: BoardKind
    addresses: tuple[int, ...] = (0xC0,)
    firmware: str = "parser3"
    usb_serial_number: str = ""
    """Most kits have none."""
    first_chip: int = 0
    """The chips' serial numbers count up from here; the plugboard sets it."""

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> BoardPlan:
        """Return the plan of a JSON document made by `dataclasses.asdict`."""
        return cls(**{**document, "kind": BoardKind(document["kind"]), "addresses": tuple(document["addresses"])})

    def chip_serial_number(self, index: int) -> bytes:
        """Return the 9 bytes of one of the chips; requests that tests make up have 00 for the third of them."""
        return b"\x01\x23\x01" + (self.first_chip + index).to_bytes(5, "big") + b"\xee"


class PluggableBoard:
    """A board that can be plugged in again and again; its chips keep their memory, its faults last.

    It stands behind the USB device itself: as a stream, as HID reports, or as an I2C bus.
    """

    def __init__(self, plan: BoardPlan) -> None:
        self.plan = plan
        self.fault = BoardFault.NONE
        self.chips: list[CuttableChip] = []
        self._kit = FaultyBoard(bytes)
        self._wire = I2cWire(())
        self._noise = itertools.cycle(to_reports(NOISE))
        self.renew(plan)

    @property
    def is_cut(self) -> bool:
        """Tell whether a chip's cut has pulled the cable."""
        return any(chip.is_cut for chip in self.chips)

    def renew(self, plan: BoardPlan) -> None:
        """Put blank chips in and end all faults, plugged or not."""
        self.plan = plan
        self.fault = BoardFault.NONE
        self.chips = [
            blank_chip(plan.chip_serial_number(index), address) for index, address in enumerate(plan.addresses)
        ]
        self._power_up()

    def plug(self) -> UsbDevice:
        """Give the board power and return a fresh USB device in front of it."""
        self._power_up()
        if self.plan.kind is BoardKind.I2C:
            return I2cTinyUsb(self.plan.usb_serial_number, self)
        return (HidKit if self.plan.kind is BoardKind.HID else CdcKit)(self.plan.usb_serial_number, self)

    def spoil(self, fault: BoardFault) -> None:
        """Make the board faulty from now on, plugged in or not."""
        self.fault = self._kit.fault = self._wire.fault = fault

    def babble(self, device: UsbDevice) -> None:
        """Send a report of noise without being asked, if that is the board's fault.

        A device has room for one report: one that was not fetched is replaced.
        """
        if self.fault is not BoardFault.ENDLESS or self.plan.kind is BoardKind.I2C:
            return
        pipe = device.in_pipes[HID_IN if self.plan.kind is BoardKind.HID else CDC_IN]
        pipe.clear()
        pipe.give(next(self._noise))

    def _power_up(self) -> None:
        for chip in self.chips:
            chip.power_cycle()
        interpreter = Interpreter(KitBus(self.chips), FIRMWARES[self.plan.firmware])
        self._kit = FaultyBoard(CdcBoard(interpreter).receive_data)
        self._wire = I2cWire(self.chips)
        self.spoil(self.fault)

    # What the USB device sees

    def receive_data(self, data: bytes) -> bytes:
        """Take bytes of a stream and return the kit's."""
        return self._kit.receive_data(data)

    def receive_report(self, report: bytes) -> list[bytes]:
        """Take a HID report, whose text ends at LF, and return those of the kit."""
        text, end, _ = report.partition(_LINE_END)
        lines = self._kit.receive_data(text + end).splitlines(keepends=True)
        return [report for line in lines for report in to_reports(line)]

    def write(self, address: int, data: bytes, *, ends: bool) -> bool:
        """Carry bytes to a 7-bit address."""
        return self._wire.write(address, data, ends=ends)

    def read(self, address: int, count: int, *, ends: bool) -> bytes | None:
        """Read from a 7-bit address."""
        return self._wire.read(address, count, ends=ends)
