"""The devices of a machine without hardware: HID kits by libusb path, and I2C buses with chips."""

from __future__ import annotations

import pytest

from atcaprov import Code, SoftwareChip, TransportError
from atcaprov.chip.memory_map import LOCK_CONFIG
from atcaprov.diagnosis import candidates
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.hal import usb
from atcaprov.hal.detect import I2cAdapter
from atcaprov.kit_protocol.firmware import PARSER3
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from tests.hal.ways import FakeI2cBus
from tests.support.fake_hid import FakeHid
from tests.support.faulty_board import FaultyBoard
from tests.support.kit_chips import EmulatedBus


class FakeMachine:
    """What is connected; a test adds and removes it."""

    def __init__(self) -> None:
        self.hid = FakeHid()
        self.buses: dict[int, FakeI2cBus] = {}

    def plug_kit(self, usb_path: str, chips: dict[int, SoftwareChip]) -> FaultyBoard:
        board = FaultyBoard(CdcBoard(Interpreter(EmulatedBus(chips), PARSER3)).receive_data)
        self.hid.boards[f"{usb_path}:1.0"] = board
        return board

    def bus(self, number: int) -> FakeI2cBus:
        if number not in self.buses:
            raise TransportError(f"/dev/i2c-{number} does not exist.", code=Code.DEVICE_NOT_FOUND)
        return self.buses[number]

    def replace_devices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the programs find these devices, and none that are really there."""
        monkeypatch.setattr("atcaprov.hal.kit.hid.hid_module", lambda backend="": self.hid)
        monkeypatch.setattr(candidates, "hid_module", lambda: self.hid)
        monkeypatch.setattr(usb, "_serial_ports", list)
        monkeypatch.setattr("atcaprov.hal.i2c.linux_bus.LibraryI2cBus", self.bus)
        monkeypatch.setattr(
            candidates, "i2c_buses", lambda: [I2cAdapter(number, "fake adapter", "") for number in self.buses]
        )


def made_chip(image: str, *, locked: bool = False) -> SoftwareChip:
    chip = SoftwareChip(load_image(image).make(SeededRandom(image.encode())))
    if locked:
        chip.memory.config[LOCK_CONFIG] = 0
    return chip
