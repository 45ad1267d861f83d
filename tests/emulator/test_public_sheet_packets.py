"""Packets as the public sheet DS20005927A has them, sections 9.1, 9.6, 9.9 to 9.11 and 9.15."""

from __future__ import annotations

from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.open_points import OpenPointError, OpenPoints, StrictOpenPoints
from tests.support.both_chip_types import PART_508A, PART_608A, PARTS, chip_of
from tests.support.chips import packet, reply_body, send

Request = tuple[int, int, int, bytes]
SECRET: Final = (0x0F8F, 0x003C)
CHECK_ONLY: Final = (0x0F9F, 0x003C)
RANDOM: Final = (Opcode.NONCE, 0, 0, bytes(20))


SLOTS: Final[dict[str, Any]] = {"slots": {4: SECRET, 6: CHECK_ONLY, 9: (0, 0x003C)}}


def group(count: int) -> bytes:
    """Return a sound group of `count` bytes that begins like Info."""
    return with_crc(bytes((count, Opcode.INFO)) + bytes(count - 4))


@pytest.mark.parametrize("part", PARTS)
class TestLengthOfAGroup:
    """Section 9.1: a group has 4 to 155 bytes."""

    @pytest.mark.parametrize("count", [4, 5, 6, 152, 155])
    def test_9_1_a_group_within_the_limits_is_read(self, part: str, count: int) -> None:
        chip = chip_of(part, OpenPoints(surplus_data="refuse"))
        reply = reply_body(chip.exchange(group(count)))
        too_long_only = count > 6 and part == PART_508A
        assert reply == (bytes.fromhex("00005000") if too_long_only else b"\x03")

    @pytest.mark.parametrize("packet_", [with_crc(b"\x03"), with_crc(bytes((156, Opcode.INFO)) + bytes(152))])
    def test_9_1_a_group_outside_the_limits_is_an_input_error(self, part: str, packet_: bytes) -> None:
        assert reply_body(chip_of(part).exchange(packet_)) == b"\xff"

    def test_9_1_a_group_without_room_for_parameters_is_reported(self, part: str) -> None:
        chip = chip_of(part)
        chip.exchange(group(5))
        assert "P1 and P2 are missing" in str(chip.last_refusal)


SURPLUS: Final[dict[str, tuple[Request, bool]]] = {
    # Request with data that its page calls "ignored", and whether it works on a locked chip.
    "9.9 Info": ((Opcode.INFO, 0, 0, b"\0"), True),
    "9.15 Random": ((Opcode.RANDOM, 0, 0, bytes(32)), True),
    "9.10 Lock": ((Opcode.LOCK, 2 | 9 << 2, 0, bytes(3)), True),
    "9.6 GenDig of the configuration": ((Opcode.GEN_DIG, 0, 0, bytes(4)), True),
    "9.6 GenDig of OTP": ((Opcode.GEN_DIG, 1, 0, bytes(32)), True),
    "9.6 GenDig of a counter": ((Opcode.GEN_DIG, 4, 0, bytes(1)), True),
    "9.6 GenDig of a key's configuration": ((Opcode.GEN_DIG, 5, 4, bytes(4)), True),
    "9.6 GenDig of a key": ((Opcode.GEN_DIG, 2, 4, bytes(32)), True),
    "9.11 MAC of TempKey": ((Opcode.MAC, 1, 4, bytes(32)), True),
    "9.6 GenDig of a key that checks": ((Opcode.GEN_DIG, 2, 6, bytes(32)), False),
    "9.16 Read": ((Opcode.READ, 0x80, 0, bytes(4)), False),
    "9.18 Sign": ((Opcode.SIGN, 0x80, 0, bytes(4)), False),
    "9.3 Counter": ((Opcode.COUNTER, 0, 0, bytes(4)), False),
    "9.19 UpdateExtra": ((Opcode.UPDATE_EXTRA, 0, 0, bytes(4)), False),
}


def answer(chip: Chip, request: Request) -> bytes:
    send(chip, *RANDOM)
    return send(chip, *request).body


@pytest.mark.parametrize("name", SURPLUS)
class TestDataWithoutUse:
    def test_the_atecc508a_ignores_what_its_page_says_it_ignores(self, name: str) -> None:
        request, ignored = SURPLUS[name]
        assert (answer(chip_of(PART_508A, **SLOTS), request) != b"\x03") is ignored
        if ignored:
            bare = (*request[:3], b"")
            assert answer(chip_of(PART_508A, **SLOTS), request) == answer(chip_of(PART_508A, **SLOTS), bare) != b"\x0f"

    def test_on_the_atecc608_it_is_an_open_point(self, name: str) -> None:
        request, ignored = SURPLUS[name]
        if name == "9.6 GenDig of a key":
            ignored = False  # 0 or 4 bytes: TNGTLS data sheet, section 5.3.3.3
        assert answer(chip_of(PART_608A, **SLOTS), request) == b"\x03"
        lenient = chip_of(PART_608A, OpenPoints(surplus_data="ignore"), **SLOTS)
        assert (answer(lenient, request) != b"\x03") is ignored
        strict = chip_of(PART_608A, **SLOTS)
        send(strict, *RANDOM)
        strict.core.open_points = StrictOpenPoints()
        if ignored:
            with pytest.raises(OpenPointError, match="surplus_data"):
                send(strict, *request)


def test_4_2_pause_ignores_data_on_the_atecc508a() -> None:
    assert send(chip_of(PART_508A, **SLOTS), Opcode.PAUSE, 0, 0, bytes(2)).status == 0


def test_9_6_a_key_takes_no_or_four_bytes_of_data_on_both_parts() -> None:
    """TNGTLS data sheet, section 5.3.3.3, for the ATECC608."""
    for part in PARTS:
        for data in (b"", bytes(4)):
            assert answer(chip_of(part, **SLOTS), (Opcode.GEN_DIG, 2, 4, data)) == b"\0"


def test_what_has_an_effect_is_not_run_twice_when_data_are_ignored() -> None:
    chip = chip_of(PART_508A, config_locked=False, data_locked=False)
    assert reply_body(chip.exchange(packet(Opcode.LOCK, 0x80, 0, bytes(5)))) == b"\0"
    assert chip.memory.config_locked
    assert reply_body(chip.exchange(packet(Opcode.LOCK, 0x80, 0, bytes(5)))) == b"\x0f"
