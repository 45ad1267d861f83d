"""Modes and parameters of single commands as the public data sheet of the ATECC508A has them (DS20005927A)."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.commands.sign import internal_message
from atcaprov.emulator.switches import OpenPointError, StrictSwitches, Switches
from tests.emulator.test_public_sheet_addresses import KEY, priv_write_encrypted
from tests.emulator.test_refusals import GENERATOR, PRIVATE, PUBLIC, RANDOM, SCALAR, SECRET, STORED
from tests.support.both_parts import PART_508A, PART_608A, PARTS, authorize, authorized_slot, check_mac, chip_of
from tests.support.chips import send

PASSWORD: Final = b"p" * 32


def notices(chip: Chip, switch: str, *request: Any) -> None:
    """Assert that the answer depends on an open point."""
    chip.core.switches = StrictSwitches()
    with pytest.raises(OpenPointError) as caught:
        send(chip, *request)
    assert caught.value.switch == switch


class TestGenKey:
    SLOTS: Final[dict[str, Any]] = {"slots": {9: (0x0F0F, PUBLIC)}, "content": {9: STORED}}

    @pytest.mark.parametrize("p1", [0x14, 0x18, 0x1C])
    @pytest.mark.parametrize(
        ("part", "rule", "granted"),
        [(PART_508A, "refuse", True), (PART_608A, "ignore", True), (PART_608A, "refuse", False)],
    )
    def test_9_7_bit_4_makes_bits_2_and_3_meaningless(self, p1: int, part: str, rule: Any, granted: bool) -> None:
        digests = []
        for mode in (0x10, p1):
            chip = chip_of(part, Switches(gen_key_digest_bits=rule), **self.SLOTS)
            send(chip, Opcode.NONCE, 3, 0, bytes(32))
            reply = send(chip, Opcode.GEN_KEY, mode, 9, bytes(3))
            digests.append(chip.core.temp_key.key)
        assert reply.status == (0 if granted else 0x03)
        assert chip.core.temp_key.gen_key is granted
        assert (digests[0] == digests[1]) is granted
        assert chip.memory.read_slot(9, 0, 72) == STORED

    def test_9_7_bits_2_and_3_are_an_open_point_on_the_atecc608(self) -> None:
        chip = chip_of(PART_608A, **self.SLOTS)
        send(chip, *RANDOM)
        notices(chip, "gen_key_digest_bits", Opcode.GEN_KEY, 0x14, 9, bytes(3))

    @pytest.mark.parametrize("part", PARTS)
    def test_9_7_the_public_key_of_a_slot_that_is_not_secret_is_refused(self, part: str) -> None:
        for secret, granted in ((0x80, True), (0, False)):
            chip = chip_of(part, slots={0: (0x200F | secret, PRIVATE)}, content={0: SCALAR})
            reply = send(chip, Opcode.GEN_KEY, 0, 0)
            assert (len(reply.body) == len(GENERATOR)) is granted, reply.reason
            assert granted or "IsSecret" in reply.reason


class TestInfoState:
    SLOTS: Final[dict[str, Any]] = {"slots": {5: SECRET, 11: SECRET}, "content": {5: PASSWORD, 11: PASSWORD}}

    @pytest.mark.parametrize(
        ("part", "seed", "byte"), [(PART_508A, "hidden", 0x5D), (PART_608A, "shown", 0x5D), (PART_608A, "hidden", 0x5C)]
    )
    def test_9_9_byte_1_is_that_of_a_real_part(self, part: str, seed: Any, byte: int) -> None:
        """5D: a real ATECC508A after Nonce 00 and CheckMac of slot 11 (Coldcard/firmware, test_ae.py)."""
        chip = chip_of(part, Switches(info_state_seed=seed), **self.SLOTS)
        assert authorize(chip, 11, PASSWORD) == 0
        assert send(chip, Opcode.INFO, 2).body == bytes((0, byte, 0, 0))

    @pytest.mark.parametrize("part", PARTS)
    def test_9_9_each_bit_of_byte_1(self, part: str) -> None:
        chip = chip_of(part, **self.SLOTS)
        assert send(chip, Opcode.INFO, 2).body == bytes(4)
        send(chip, Opcode.NONCE, 3, 0, bytes(32))
        assert send(chip, Opcode.INFO, 2).body == bytes((0x10, 0x80, 0, 0))
        send(chip, Opcode.NONCE, 1, 0, bytes(20))
        assert send(chip, Opcode.INFO, 2).body == bytes((0x00, 0x80, 0, 0))
        assert check_mac(chip, 5, PASSWORD).status == 0
        assert send(chip, Opcode.INFO, 2).body == bytes((0x00, 5 << 3 | 4, 0, 0))

    def test_9_9_the_seed_is_an_open_point_on_the_atecc608(self) -> None:
        chip = chip_of(PART_608A)
        send(chip, *RANDOM)
        notices(chip, "info_state_seed", Opcode.INFO, 2)


class TestKeyId:
    """3.2.8: below 8000 the low four bits of a KeyID choose the slot, and all sixteen are hashed."""

    SLOTS: Final[dict[str, Any]] = {
        "slots": {0: (0x648F, PRIVATE), 4: (0x2F8F, 0x003C), 9: (0x0F0F, PUBLIC), 2: (0x208F, PRIVATE)},
        "content": {0: SCALAR, 2: SCALAR, 4: PASSWORD, 9: STORED},
    }

    @staticmethod
    def header(chip: Chip, opcode: int, p1: int, key_id: int) -> bytes:
        serial = chip.memory.serial
        return bytes((opcode, p1)) + key_id.to_bytes(2, "little") + serial[8:] + serial[:2]

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("key_id", [0x0004, 0x0014, 0x0104, 0x7FF4])
    def test_3_2_8_mac(self, part: str, key_id: int) -> None:
        chip = chip_of(part, **self.SLOTS)
        serial = chip.memory.serial
        parameters = bytes((Opcode.MAC, 0)) + key_id.to_bytes(2, "little") + bytes(11)
        message = PASSWORD + bytes(32) + parameters + serial[8:] + bytes(4) + serial[:2] + bytes(2)
        assert send(chip, Opcode.MAC, 0, key_id, bytes(32)).body == sha256(message).digest()

    def test_3_2_8_hmac(self) -> None:
        chip = chip_of(PART_508A, **self.SLOTS)
        send(chip, Opcode.NONCE, 3, 0, bytes(32))
        serial = chip.memory.serial
        parameters = bytes((Opcode.HMAC, 4, 0x14, 0)) + bytes(11)
        message = bytes(64) + parameters + serial[8:] + bytes(4) + serial[:2] + bytes(2)
        assert send(chip, Opcode.HMAC, 4, 0x14).body == hmac.digest(PASSWORD, message, "sha256")

    @pytest.mark.parametrize("part", PARTS)
    def test_3_2_8_check_mac_authorizes_the_slot(self, part: str) -> None:
        chip = chip_of(part, **self.SLOTS)
        send(chip, *RANDOM)
        assert check_mac(chip, 0x0104, PASSWORD).status == 0
        assert authorized_slot(chip) == 4

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize(("p1", "stored"), [(2, PASSWORD), (5, None)])
    def test_3_2_8_gen_dig(self, part: str, p1: int, stored: bytes | None) -> None:
        chip = chip_of(part, **self.SLOTS)
        send(chip, Opcode.NONCE, 3, 0, bytes(32))
        assert send(chip, Opcode.GEN_DIG, p1, 0x0104).status == 0
        words = bytes.fromhex("00 8f2f 3c00 01") + bytes(19) if stored is None else bytes(25)
        message = (stored or bytes(32)) + self.header(chip, Opcode.GEN_DIG, p1, 0x0104) + words + bytes(32)
        assert chip.core.temp_key.key == sha256(message).digest()
        assert chip.core.temp_key.key_id == (4 if p1 == 2 else 0)

    @pytest.mark.parametrize("part", PARTS)
    def test_3_2_8_derive_key(self, part: str) -> None:
        chip = chip_of(part, **self.SLOTS)
        send(chip, Opcode.NONCE, 3, 0, bytes(32))
        assert send(chip, Opcode.DERIVE_KEY, 4, 0x0104).status == 0
        message = PASSWORD + self.header(chip, Opcode.DERIVE_KEY, 4, 0x0104) + bytes(57)
        assert chip.memory.read_slot(4, 0, 32) == sha256(message).digest()

    @pytest.mark.parametrize("part", PARTS)
    def test_3_2_8_priv_write(self, part: str) -> None:
        slots = {0: (0x648F, PRIVATE), 4: SECRET}
        chip = chip_of(part, slots=slots, content={4: KEY})
        assert priv_write_encrypted(chip, 0x0100).status == 0
        assert chip.memory.read_slot(0, 0, 36) == SCALAR

    @pytest.mark.parametrize("part", PARTS)
    def test_3_2_8_gen_key_and_sign(self, part: str) -> None:
        chip = chip_of(part, **self.SLOTS)
        send(chip, *RANDOM)
        nonce = chip.core.temp_key.key
        public_key = send(chip, Opcode.GEN_KEY, 8, 0x0102).body
        message = nonce + self.header(chip, Opcode.GEN_KEY, 8, 0x0102) + bytes(25) + public_key
        assert chip.core.temp_key.key == sha256(message).digest()
        assert chip.core.temp_key.key_id == 2
        signed = internal_message(chip.core, 0x0102, 0)
        assert signed[34:36] == b"\x02\x01"
        signature = send(chip, Opcode.SIGN, 0, 0x0102).body
        send(chip, Opcode.NONCE, 3, 0, sha256(signed).digest())
        assert send(chip, Opcode.VERIFY, 2, 4, signature + public_key).status == 0

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize(
        ("opcode", "p1", "data"),
        [
            (Opcode.CHECK_MAC, 0, bytes(77)),
            (Opcode.MAC, 0, bytes(32)),
            (Opcode.GEN_DIG, 2, b""),
            (Opcode.DERIVE_KEY, 0, b""),
            (Opcode.GEN_KEY, 0, b""),
            (Opcode.SIGN, 0x80, b""),
            (Opcode.VERIFY, 0, bytes(64)),
            (Opcode.PRIV_WRITE, 0, bytes(68)),
            (Opcode.INFO, 1, b""),
        ],
    )
    def test_3_2_8_from_8000_on_there_is_no_slot(self, part: str, opcode: int, p1: int, data: bytes) -> None:
        """Transport keys serve GenDig only; their values are not published, so a digest of one would be invented."""
        chip = chip_of(part, **self.SLOTS)
        send(chip, *RANDOM)
        for key_id in (0x8000, 0x8004, 0xFFF0):
            assert send(chip, opcode, p1, key_id, data).status == 0x03
