"""Modes and parameters of single commands as the public data sheet of the ATECC508A has them (DS20005927A)."""

from __future__ import annotations

from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.switches import OpenPointError, StrictSwitches, Switches
from tests.emulator.test_refusals import GENERATOR, PRIVATE, PUBLIC, RANDOM, SCALAR, SECRET, STORED
from tests.support.both_parts import PART_508A, PART_608A, PARTS, authorize, check_mac, chip_of
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
