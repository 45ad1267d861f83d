"""Open points of the chip, each set the other way."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import crc16
from atcaprov.emulator import ecc
from atcaprov.emulator.chip import Power
from atcaprov.emulator.command import xor
from atcaprov.emulator.open_points import OpenPointError, OpenPoints, StrictOpenPoints
from atcaprov.emulator.timing import VirtualClock
from tests.emulator.test_refusals import (
    CASES,
    DATA,
    FIXED,
    GENERATOR,
    KEY,
    PRIVATE,
    RANDOM,
    SCALAR,
    SECRET,
    STORED,
    Case,
    boot,
    prepared,
)
from tests.support.chips import packet, send


class TestOpenPoints:
    """Each open point that changes an answer can be set the other way, and is noticed by a strict chip."""

    POINTS: Final[dict[str, tuple[Case, Any, int]]] = {
        "bad_block_code": (Case((Opcode.READ, 0x80, 0x20, b""), ""), 3, 3),
        "key_type_code": (CASES["AES key of another type"], 3, 3),
        "aes_disabled_code": (CASES["AES disabled"], 3, 3),
        "sha_order_code": (CASES["SHA update without start"], 3, 3),
        "offcurve_ecdh": (CASES["ECDH off the curve"], 5, 5),
        "io_protection_off_code": (CASES["ECDH encrypted without the key"], 3, 3),
        "privwrite_range_code": (CASES["PrivWrite of no key"], 0x0F, 0x0F),
        "validate_external_code": (CASES["validate external"], 0x0F, 0x0F),
        "gendig_before_lock": (CASES["GenDig before the configuration lock"], True, 0),
        "nonce_before_lock": (Case(RANDOM, "", config_locked=False, data_locked=False), False, 0x0F),
        "kdf_needs_pub_info": (CASES["KDF into a slot without PubInfo"], False, 0),
        "data_open_result_in_slot": (
            Case((Opcode.DERIVE_KEY, 0, 9, b""), "", (RANDOM,), {9: (0x2F8F, DATA)}, data_locked=False),
            True,
            0,
        ),
        "lock_reserved_bytes": (
            Case((Opcode.LOCK, 0x80, 0, b""), "", config_bytes={80: b"\x01"}, config_locked=False, data_locked=False),
            "refuse",
            0x0F,
        ),
        "req_random_needs_temp_key": (
            Case((Opcode.CHECK_MAC, 0, 4, bytes(77)), "", slots={4: (0x0F8F, 0x007C)}),
            False,
            1,
        ),
        "data_open_use": (
            Case((Opcode.SIGN, 0x80, 0, b""), "", (FIXED,), {0: KEY}, {0: SCALAR}, data_locked=False),
            False,
            0x0F,
        ),
        "use_lock": (
            Case((Opcode.SIGN, 0x80, 0, b""), "", (FIXED,), {0: KEY}, {0: SCALAR}, {68: b"\x0a"}),
            "refuse",
            0x0F,
        ),
        "secure_boot_table": (boot(5, b"\x01\xbc", says="", content={11: STORED}), "refuse", 0x0F),
        "limited_use_commands": (
            Case((Opcode.CHECK_MAC, 0, 4, bytes(77)), "", slots={4: (0x0FAF, DATA)}, config_bytes={18: b"\xa1"}),
            frozenset(),
            1,
        ),
        "count_match_copies": (
            Case(
                (Opcode.SIGN, 0x80, 0, b""),
                "",
                (FIXED,),
                slots={0: (0x20AF, PRIVATE)},
                content={0: SCALAR, 10: b"\x20" + bytes(7)},
                config_bytes={18: b"\xa1"},
            ),
            "both",
            0x0F,
        ),
        "latch_clear_needs_authorization": (
            Case((Opcode.INFO, 4, 2, b""), "", config_bytes={69: b"\x84"}),
            True,
            0x0F,
        ),
    }

    @pytest.mark.parametrize("name", POINTS)
    def test_it_can_be_set_the_other_way(self, name: str) -> None:
        case, value, status = self.POINTS[name]
        chip = prepared(case, OpenPoints(**{name: value}))
        assert send(chip, *case.request).status == status

    @pytest.mark.parametrize("name", POINTS)
    def test_strict_chip_raises(self, name: str) -> None:
        case, _, _ = self.POINTS[name]
        chip = prepared(case)
        chip.core.open_points = StrictOpenPoints()
        with pytest.raises(OpenPointError) as caught:
            send(chip, *case.request)
        assert caught.value.point == name

    def test_private_slots_in_the_crc_of_the_data_lock(self) -> None:
        for whole in (False, True):
            chip = prepared(Case((0, 0, 0, b""), "", data_locked=False), OpenPoints(data_crc_private=whole))
            content = bytes(chip.memory.data)[0 if whole else 3 * 36 :] + bytes(chip.memory.otp)
            assert send(chip, Opcode.LOCK, 1, crc16(content) ^ 1).status == 0x0F
            assert send(chip, Opcode.LOCK, 1, crc16(content)).status == 0
        strict = prepared(Case((0, 0, 0, b""), "", data_locked=False))
        strict.core.open_points = StrictOpenPoints()
        with pytest.raises(OpenPointError):
            send(strict, Opcode.LOCK, 1, 0)

    def test_the_watchdog_may_cut_a_command(self) -> None:
        case = Case((Opcode.GEN_KEY, 4, 0, b""), "", slots={0: KEY})
        chip = prepared(case, OpenPoints(watchdog_margin="none"))
        assert isinstance(chip.clock, VirtualClock)
        chip.clock.advance(1.295)
        assert chip.exchange(packet(*case.request)) == b""
        assert chip.power is Power.ASLEEP

    def test_the_partner_of_an_odd_slot(self) -> None:
        """The slot itself, which is private and refuses, or the next one; slot 15 has none."""
        slots = {1: KEY, 2: SECRET, 15: KEY}
        case = Case((Opcode.ECDH, 4, 1, GENERATOR), "", slots=slots, content={1: SCALAR, 15: SCALAR})
        assert send(prepared(case), *case.request).status == 0x0F
        chip = prepared(case, OpenPoints(ecdh_odd_partner="next"))
        assert send(chip, *case.request).status == 0
        assert chip.memory.read_slot(2, 0, 32) == ecc.shared_secret(SCALAR[4:], GENERATOR)
        assert "has no next slot" in send(chip, Opcode.ECDH, 4, 15, GENERATOR).reason

    def test_a_session_key_may_outlive_the_write(self) -> None:
        for consumes in (True, False):
            chip = prepared(
                Case((0, 0, 0, b""), "", slots={8: (0x44C4, DATA), 4: SECRET}),
                OpenPoints(encrypted_write_consumes=consumes),
            )
            send(chip, *RANDOM)
            send(chip, Opcode.GEN_DIG, 2, 4)
            key, sn = chip.core.temp_key.key, chip.memory.serial
            mac = sha256(key + b"\x12\xc2\x40\x00" + sn[8:] + sn[:2] + bytes(25) + bytes(32)).digest()
            assert send(chip, Opcode.WRITE, 0xC2, 0x40, xor(bytes(32), key) + mac).status == 0
            assert chip.core.temp_key.valid is not consumes
