"""Boards without a cable, whose answers may suffer, and chips that differ."""

from __future__ import annotations

import pytest

from atcaprov import SoftwareChip
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.images import blank_608a
from atcaprov.hal.errors import silent
from atcaprov.hal.kit.line_port import KitTimeouts, LinePort
from atcaprov.kit_protocol.firmware import FIRMWARES, PARSER3, KitFirmware
from atcaprov.kit_protocol.interpreter import CdcBoard, Interpreter
from tests.support.chips import packet
from tests.support.faulty_board import FaultyBoard
from tests.support.kit_chips import EmulatedBus

INFO = packet(Opcode.INFO)
READ = packet(Opcode.READ, 0x80)
SHA_START, SHA_END = packet(Opcode.SHA, 0), packet(Opcode.SHA, 2)
each_firmware = pytest.mark.parametrize("firmware", FIRMWARES.values(), ids=lambda firmware: firmware.name)
NO_TIME = KitTimeouts(greeting=0.0, control=0.0, talk=0.0, resync=0.0)


class DirectPort(LinePort):
    """A board without a cable; answers are there at once or never, so no test waits. Keeps what was asked."""

    def __init__(self, interpreter: Interpreter) -> None:
        self.url = "test:"
        self._board = CdcBoard(interpreter)
        self.lines: list[bytes] = []
        self.asked: list[bytes] = []

    def send(self, message: bytes) -> None:
        self.asked.append(message)
        self.lines += self._board.receive_data(message).splitlines()

    def receive(self, seconds: float) -> bytes:
        if not self.lines:
            raise silent(self.url, seconds)
        return self.lines.pop(0)

    def drain(self) -> None:
        self.lines.clear()

    def close(self) -> None:
        pass

    def restart(self, interpreter: Interpreter) -> None:
        """Restart the board's controller; the port stays open."""
        self._board = CdcBoard(interpreter)
        self.lines.clear()


class LossyPort(DirectPort):
    """Answers suffer as a plan says: passed on, lost, kept for the next turn, doubled, or replaced by noise."""

    def __init__(self, interpreter: Interpreter, plan: list[str]) -> None:
        super().__init__(interpreter)
        self.plan = plan
        self._late: list[bytes] = []

    def send(self, message: bytes) -> None:
        super().send(message)
        fate = self.plan.pop(0) if self.plan else "pass"
        answers, self.lines = self.lines, []
        late, self._late = self._late, []
        if fate == "late":
            self._late = answers
        elif fate == "noise":
            self.lines = [b"\xff17(", b"00(0", b""]
        elif fate != "lost":
            self.lines = answers * (2 if fate == "doubled" else 1)
        self.lines = late + self.lines


class LaggingPort(DirectPort):
    """Answers come when the next request has been sent already; `lines` holds what is under way when it is opened."""

    def drain(self) -> None:
        pass


def chips_at(*addresses: int) -> dict[int, SoftwareChip]:
    """Return chips that differ in their serial numbers."""
    return {address: SoftwareChip(blank_608a(b"\x01\x23" + bytes((address,)) * 6 + b"\xee")) for address in addresses}


def reply_of(chip: SoftwareChip, command: bytes) -> bytes:
    """Return what a chip answers to `INFO` or `READ`."""
    return with_crc(b"\x07\x00\x00\x60\x02" if command == INFO else b"\x23" + bytes(chip.memory.config[:32]))


def board_of(chips: dict[int, SoftwareChip], firmware: KitFirmware = PARSER3) -> FaultyBoard:
    return FaultyBoard(CdcBoard(Interpreter(EmulatedBus(chips), firmware)).receive_data)
