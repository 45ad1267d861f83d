"""The lines of i2c-tools that ask a real part about its bus, sent to a software chip."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from atcaprov import SoftwareChip
from atcaprov.chip.commands import WAKE_TOKEN
from atcaprov.emulator.chip import Power
from atcaprov.emulator.open_points import OpenPoints
from tests.support.i2c_client import ACK, NAK, I2cClient

_PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "software-chip-bus.md"
_LINE: Final = re.compile(r"^i2ctransfer -y -a 1 (.*?) *(?:#.*)?$", re.MULTILINE)
_MESSAGE: Final = re.compile(r"([rw])(\d+)@(0x[0-9a-f]{2})((?: 0x[0-9a-f]{2})*)")
_REVISION: Final = ACK + bytes.fromhex("07000060028038")


def played(chip: SoftwareChip) -> list[bytes]:
    """Return the reply to the last message of each line."""
    bus, replies = I2cClient(chip), []
    for messages in _LINE.findall(_PAGE.read_text(encoding="utf-8")):
        found = _MESSAGE.findall(messages)
        assert " ".join(f"{kind}{count}@{address}{data}" for kind, count, address, data in found) == messages
        for number, (kind, count, address, text) in enumerate(found, 1):
            data = bytes(int(byte, 16) for byte in text.split())
            assert len(data) == (int(count) if kind == "w" else 0)
            letter = kind.upper() if number == len(found) else kind
            reply = bus.request(letter.encode(), 0, int(address, 16), int(count), data)
        replies.append(reply)
    return replies


@pytest.mark.parametrize(
    ("open_points", "incomplete", "behind"),
    [
        (OpenPoints(), ACK + 4 * b"\xff", ACK),
        (OpenPoints(read_of_incomplete_command="no-acknowledge", bytes_behind_count="refuse"), NAK, NAK),
    ],
)
def test_the_lines_for_i2c_tools_tell_how_a_part_answers(
    open_points: OpenPoints, incomplete: bytes, behind: bytes
) -> None:
    chip = SoftwareChip(open_points=open_points)
    before = chip.memory.image()
    asked = [NAK, ACK + WAKE_TOKEN, ACK, incomplete, ACK, _REVISION, _REVISION, behind, _REVISION, ACK]
    assert played(chip) == asked
    assert chip.memory.image() == before
    assert chip.power is Power.ASLEEP
