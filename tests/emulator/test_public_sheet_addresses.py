"""Read and Write as the public data sheet of the ATECC508A has them (DS20005927A, 9.1.4, 9.16, 9.21), on both parts."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.command import xor
from atcaprov.emulator.open_points import OpenPointError, OpenPoints, StrictOpenPoints
from tests.emulator.test_refusals import DATA, PUBLIC, RANDOM, SCALAR, SECRET
from tests.support.both_chip_types import PART_508A, PART_608A, PARTS, chip_of
from tests.support.chips import ChipReply, send

PLAIN: Final = bytes(range(32))
KEY: Final = b"k" * 32
ENCRYPT, ALWAYS, PUB_INVALID, NEVER = 0x44C4, 0x0000, 0x1000, 0x8000


def session_key(chip: Chip, slot: int = 4) -> bytes:
    """Let GenDig make the key of an encrypted Read or Write from a slot."""
    assert len(send(chip, *RANDOM).body) == 32
    assert send(chip, Opcode.GEN_DIG, 2, slot).status == 0
    return chip.core.temp_key.key


def write_encrypted(chip: Chip, p1: int, p2: int, *, mac_of_p1: int | None = None) -> ChipReply:
    key, serial = session_key(chip), chip.memory.serial
    header = bytes((Opcode.WRITE, p1 if mac_of_p1 is None else mac_of_p1)) + p2.to_bytes(2, "little")
    mac = sha256(key + header + serial[8:] + serial[:2] + bytes(25) + PLAIN).digest()
    return send(chip, Opcode.WRITE, p1, p2, xor(PLAIN, key) + mac)


def chip_with(part: str, slot_config: int, key_config: int = DATA, *, data_locked: bool = True) -> Chip:
    slots = {8: (slot_config, key_config), 4: SECRET}
    return chip_of(part, slots=slots, content={4: KEY, 8: bytes(96)}, data_locked=data_locked)


@pytest.mark.parametrize("part", PARTS)
class TestEncryptedWrite:
    """9.21.1: after the data lock bit 14 of SlotConfig decides whether a Write is encrypted, not bit 6 of P1."""

    @pytest.mark.parametrize("p1", [0x82, 0xC2])
    def test_9_21_1_64_bytes_are_an_encrypted_write_with_and_without_bit_6(self, part: str, p1: int) -> None:
        chip = chip_with(part, ENCRYPT)
        reply = write_encrypted(chip, p1, 8 << 3)
        assert reply.status == 0, reply.reason
        assert chip.memory.read_slot(8, 0, 32) == PLAIN

    @pytest.mark.parametrize(("p1", "in_mac"), [(0x82, 0xC2), (0xC2, 0x82)])
    def test_9_21_1_the_mac_holds_p1_as_it_was_sent(self, part: str, p1: int, in_mac: int) -> None:
        chip = chip_with(part, ENCRYPT)
        assert write_encrypted(chip, p1, 8 << 3, mac_of_p1=in_mac).status == 0x0F
        assert chip.memory.read_slot(8, 0, 32) == bytes(32)

    @pytest.mark.parametrize("p1", [0x82, 0xC2])
    def test_9_21_1_a_clear_slot_takes_32_bytes_with_and_without_bit_6(self, part: str, p1: int) -> None:
        chip = chip_with(part, ALWAYS)
        assert send(chip, Opcode.WRITE, p1, 8 << 3, PLAIN).status == 0
        assert chip.memory.read_slot(8, 0, 32) == PLAIN

    @pytest.mark.parametrize(
        ("slot_config", "p1", "size"),
        [(ALWAYS, 0x82, 64), (ALWAYS, 0xC2, 64), (ENCRYPT, 0x82, 32), (ENCRYPT, 0xC2, 32), (ENCRYPT & ~0x80, 0x02, 36)],
    )
    def test_9_21_1_data_that_the_slot_does_not_take_are_refused(
        self, part: str, slot_config: int, p1: int, size: int
    ) -> None:
        chip = chip_with(part, slot_config)
        session_key(chip)
        assert send(chip, Opcode.WRITE, p1, 8 << 3, bytes(size)).status == 0x0F

    def test_9_21_1_before_the_data_lock_bit_6_decides(self, part: str) -> None:
        chip = chip_with(part, ENCRYPT, data_locked=False)
        assert write_encrypted(chip, 0xC2, 8 << 3).status == 0
        assert chip.memory.read_slot(8, 0, 32) == PLAIN
        assert send(chip, Opcode.WRITE, 0xC2, 8 << 3, PLAIN).status == 0x03

    def test_9_21_bit_6_is_an_error_in_the_configuration_zone(self, part: str) -> None:
        chip = chip_of(part, config_locked=False, data_locked=False)
        assert send(chip, Opcode.WRITE, 0xC0, 8, bytes(64)).status == 0x0F
        assert send(chip, Opcode.WRITE, 0x80, 8, bytes(64)).status == 0x03


@pytest.mark.parametrize("part", PARTS)
class TestWordWrite:
    """9.21: 4 bytes at a time with WriteConfig 0000, IsSecret 0, after the data lock."""

    @pytest.mark.parametrize(
        ("slot_config", "word", "block"),
        [(ALWAYS, 0, 0), (PUB_INVALID, 0x0F, 0), (NEVER, 0x0F, 0x0F), (ALWAYS | 0x80, 0x0F, 0)],
    )
    def test_9_21_4_bytes_need_write_config_always(self, part: str, slot_config: int, word: int, block: int) -> None:
        assert send(chip_with(part, slot_config), Opcode.WRITE, 0x02, 8 << 3, bytes(4)).status == word
        assert send(chip_with(part, slot_config), Opcode.WRITE, 0x82, 8 << 3, bytes(32)).status == block

    def test_9_21_4_bytes_of_an_open_public_key_slot(self, part: str) -> None:
        chip = chip_of(part, slots={14: (PUB_INVALID, PUBLIC | 2)})
        assert send(chip, Opcode.WRITE, 0x02, 14 << 3, bytes(4)).status == 0x0F
        assert send(chip, Opcode.WRITE, 0x82, 14 << 3, bytes(32)).status == 0


PARTIAL: Final = [(2, 1, 4), (9, 2, 8)]
"""Slot, last block, bytes that are there."""


def filled_chip(part: str, fill: Any, slot: int, slot_config: int) -> Chip:
    content = {4: KEY, slot: bytes(range(1, 73))}
    return chip_of(
        part, OpenPoints(partial_block_fill=fill), slots={slot: (slot_config, DATA), 4: SECRET}, content=content
    )


@pytest.mark.parametrize(("slot", "block", "left"), PARTIAL)
class TestPartialBlock:
    """9.1.4, 9.16: a 32-byte Read of a slot's last, partial block; the missing bytes are 00."""

    @pytest.mark.parametrize(
        ("part", "fill", "expected"), [(PART_508A, 0xFF, 0), (PART_608A, 0, 0), (PART_608A, 0xFF, 0xFF)]
    )
    def test_9_16_the_missing_bytes_are_filled_up(
        self, slot: int, block: int, left: int, part: str, fill: int, expected: int
    ) -> None:
        place = slot << 3 | block << 8
        stored = bytes(range(32 * block + 1, 32 * block + 1 + left)) + bytes((expected,)) * (32 - left)
        assert send(filled_chip(part, fill, slot, 0), Opcode.READ, 0x82, place).body == stored
        chip = filled_chip(part, fill, slot, 0x00C4)
        key = session_key(chip)
        assert xor(send(chip, Opcode.READ, 0x82, place).body, key) == stored

    @pytest.mark.parametrize("part", PARTS)
    def test_9_1_4_what_lies_behind_the_last_block_is_refused(
        self, slot: int, block: int, left: int, part: str
    ) -> None:
        chip = filled_chip(part, 0, slot, 0)
        assert send(chip, Opcode.READ, 0x82, slot << 3 | (block + 1) << 8).status == 0x0F
        assert send(chip, Opcode.READ, 0x02, slot << 3 | block << 8 | left // 4).status == 0x0F
        assert len(send(chip, Opcode.READ, 0x02, slot << 3 | block << 8 | left // 4 - 1).body) == 4

    @pytest.mark.parametrize("part", PARTS)
    def test_9_21_1_the_excess_of_an_encrypted_write_is_in_its_mac(
        self, slot: int, block: int, left: int, part: str
    ) -> None:
        chip = filled_chip(part, 0, slot, ENCRYPT)
        assert write_encrypted(chip, 0x82, slot << 3 | block << 8).status == 0
        assert chip.memory.read_slot(slot, 32 * block, 32) == PLAIN[:left]

    def test_the_fill_is_an_open_point_on_the_atecc608(self, slot: int, block: int, left: int) -> None:
        chip = filled_chip(PART_608A, 0, slot, 0)
        chip.core.open_points = StrictOpenPoints()
        assert len(send(chip, Opcode.READ, 0x82, slot << 3).body) == 32
        with pytest.raises(OpenPointError, match="partial_block_fill"):
            send(chip, Opcode.READ, 0x82, slot << 3 | block << 8)


def priv_write_encrypted(chip: Chip, key_id: int) -> ChipReply:
    key, serial = session_key(chip), chip.memory.serial
    header = bytes((Opcode.PRIV_WRITE, 0x40)) + key_id.to_bytes(2, "little") + serial[8:] + serial[:2]
    mac = sha256(key + header + bytes(21) + SCALAR).digest()
    cipher = xor(SCALAR, key + sha256(key).digest()[:4])
    return send(chip, Opcode.PRIV_WRITE, 0x40, key_id, cipher + mac)


@pytest.mark.parametrize("part", PARTS)
class TestPrivWrite:
    """9.14: ReqAuth and ReqRandom of the slot are not asked, IsSecret is."""

    @pytest.mark.parametrize("key_config", [0x0033, 0x00B3, 0x0073, 0x05F3])
    def test_9_14_req_auth_and_req_random_are_not_asked(self, part: str, key_config: int) -> None:
        for data_locked in (False, True):
            slots = {0: (0x648F, key_config), 4: SECRET}
            chip = chip_of(part, slots=slots, content={4: KEY}, data_locked=data_locked)
            clear = (Opcode.PRIV_WRITE, 0, 0, SCALAR + bytes(32))
            reply = priv_write_encrypted(chip, 0) if data_locked else send(chip, *clear)
            assert reply.status == 0, reply.reason
            assert chip.memory.read_slot(0, 0, 36) == SCALAR

    def test_9_14_a_slot_that_is_not_secret_takes_no_private_key(self, part: str) -> None:
        for data_locked in (False, True):
            slots = {0: (0x640F, 0x0033), 4: SECRET}
            chip = chip_of(part, slots=slots, content={4: KEY}, data_locked=data_locked)
            clear = (Opcode.PRIV_WRITE, 0, 0, SCALAR + bytes(32))
            reply = priv_write_encrypted(chip, 0) if data_locked else send(chip, *clear)
            assert reply.status == 0x0F
            assert "IsSecret" in reply.reason
