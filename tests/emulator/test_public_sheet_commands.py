"""Modes and parameters of single commands as the public data sheet of the ATECC508A has them (DS20005927A)."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator import ecc
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.commands.sign import internal_message
from atcaprov.emulator.counters import MAXIMUM, read_counter, write_counter
from atcaprov.emulator.open_points import OpenPointError, OpenPoints, StrictOpenPoints
from tests.emulator.test_public_sheet_addresses import KEY, priv_write_encrypted
from tests.emulator.test_refusals import GENERATOR, PRIVATE, PUBLIC, RANDOM, SCALAR, SECRET, STORED
from tests.support.both_chip_types import PART_508A, PART_608A, PARTS, authorize, authorized_slot, check_mac, chip_of
from tests.support.chips import ChipReply, send

PASSWORD: Final = b"p" * 32


def public_slot(public_key: bytes) -> bytes:
    """Return a public key in the 72 bytes of a slot."""
    return bytes(4) + public_key[:32] + bytes(4) + public_key[32:]


def notices(chip: Chip, point: str, *request: Any) -> None:
    """Assert that the answer depends on an open point."""
    chip.core.open_points = StrictOpenPoints()
    with pytest.raises(OpenPointError) as caught:
        send(chip, *request)
    assert caught.value.point == point


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
            chip = chip_of(part, OpenPoints(gen_key_digest_bits=rule), **self.SLOTS)
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
        chip = chip_of(part, OpenPoints(info_state_seed=seed), **self.SLOTS)
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
    def test_3_2_8_commands_that_hash_no_key_id(self, part: str) -> None:
        slots = self.SLOTS["slots"] | {1: SECRET, 2: (0x208F | 0x0C, PRIVATE), 3: SECRET}
        chip = chip_of(part, slots=slots, content=self.SLOTS["content"])
        assert send(chip, Opcode.INFO, 1, 0x0102).body == b"\x01\0\0\0"
        assert send(chip, Opcode.ECDH, 0, 0x0102, GENERATOR).status == 0
        assert chip.memory.read_slot(3, 0, 32) == ecc.shared_secret(SCALAR[4:], GENERATOR)
        send(chip, Opcode.SHA, 0)
        assert send(chip, Opcode.SHA, 3, 0x0109).status == 0
        assert send(chip, Opcode.SHA, 2).body == sha256(GENERATOR).digest()
        send(chip, Opcode.SHA, 4, 0x0104)
        end = 5 if part == PART_508A else 2
        assert send(chip, Opcode.SHA, end).body == hmac.digest(PASSWORD, b"", "sha256")
        send(chip, Opcode.NONCE, 3, 0, bytes(32))
        assert send(chip, Opcode.VERIFY, 0, 0x0109, bytes(64)).status == 1

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
    def test_3_2_8_key_ids_from_8000_on_name_no_slot(self, part: str, opcode: int, p1: int, data: bytes) -> None:
        """Transport keys serve GenDig only; their values are not published, so a digest of one would be invented."""
        chip = chip_of(part, **self.SLOTS)
        send(chip, *RANDOM)
        for key_id in (0x8000, 0x8004, 0xFFF0):
            assert send(chip, opcode, p1, key_id, data).status == 0x03


class TestMacModes:
    @pytest.mark.parametrize("p1", [0x10, 0x20, 0x30, 0x61])
    @pytest.mark.parametrize(
        ("part", "rule", "granted"),
        [(PART_508A, "hash", False), (PART_608A, "refuse", False), (PART_608A, "hash", True)],
    )
    def test_9_11_bits_4_and_5_are_0(self, p1: int, part: str, rule: Any, granted: bool) -> None:
        chip = chip_of(part, OpenPoints(mac_otp_fields=rule), slots={4: SECRET})
        send(chip, *RANDOM)
        body = send(chip, Opcode.MAC, p1, 4, b"" if p1 & 1 else bytes(32)).body
        assert len(body) == 32 if granted else body == b"\x03"

    def test_9_11_they_are_an_open_point_on_the_atecc608(self) -> None:
        notices(chip_of(PART_608A, slots={4: SECRET}), "mac_otp_fields", Opcode.MAC, 0x10, 4, bytes(32))

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("p1", [0x08, 0x80])
    def test_9_11_bits_3_and_7_are_0(self, part: str, p1: int) -> None:
        assert send(chip_of(part, slots={4: SECRET}), Opcode.MAC, p1, 4, bytes(32)).status == 0x03

    @pytest.mark.parametrize("bit", range(8))
    def test_9_8_bits_of_hmac(self, bit: int) -> None:
        """Bit 1 has no meaning, but the vendor's test hmac sends it and expects an answer."""
        chip = chip_of(PART_508A, slots={4: SECRET})
        send(chip, *(RANDOM if bit != 2 else (Opcode.NONCE, 3, 0, bytes(32))))
        body = send(chip, Opcode.HMAC, 1 << bit, 4).body
        assert len(body) == 32 if bit in (1, 2, 6) else body == b"\x03"


class TestDeriveKey:
    """9.4: the MAC is under the key of WriteKey, whose ReqAuth is asked; ReqRandom counts for the source alone."""

    ROLL, CREATE = 0xA40F | 0x80, 0xB40F | 0x80

    def derive(self, part: str, slot_config: int, mac_key: bytes, **more: Any) -> Chip:
        """Let slot 9 take a new key, whose WriteKey is 4, and return the chip."""
        slots = {4: SECRET, 5: SECRET, 9: (slot_config, 0x003C)} | more.pop("slots", {})
        chip = chip_of(part, more.pop("open_points", None), slots=slots, content={4: KEY, 5: PASSWORD, 9: b"o" * 32})
        if more.pop("authorized", False):
            assert authorize(chip, 5, PASSWORD) == 0
        send(chip, *(more.pop("nonce", RANDOM)))
        source = chip.core.temp_key.from_input << 2
        serial = chip.memory.serial
        header = bytes((Opcode.DERIVE_KEY, source, 9, 0)) + serial[8:] + serial[:2]
        send(chip, Opcode.DERIVE_KEY, source, 9, sha256(mac_key + header).digest())
        return chip

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("slot_config", [ROLL, CREATE])
    def test_9_4_the_mac_is_under_the_key_of_write_key(self, part: str, slot_config: int) -> None:
        assert self.derive(part, slot_config, KEY).last_refusal is None
        assert "MAC" in str(self.derive(part, slot_config, b"o" * 32).last_refusal)

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("slot_config", [ROLL, CREATE])
    def test_9_4_the_req_auth_of_that_key_is_asked(self, part: str, slot_config: int) -> None:
        asking = {4: (SECRET[0], 0x05BC)}
        assert "ReqAuth" in str(self.derive(part, slot_config, KEY, slots=asking).last_refusal)
        assert self.derive(part, slot_config, KEY, slots=asking, authorized=True).last_refusal is None

    @pytest.mark.parametrize("part", PARTS)
    def test_9_4_one_authorization_serves_both_keys(self, part: str) -> None:
        asking = {4: (SECRET[0], 0x05BC), 9: (self.ROLL, 0x05BC)}
        one = OpenPoints(authorization_uses="one")
        assert "ReqAuth" in str(self.derive(part, self.ROLL, KEY, slots=asking, open_points=one).last_refusal)
        chip = self.derive(part, self.ROLL, KEY, slots=asking, open_points=one, authorized=True)
        assert chip.last_refusal is None
        assert authorized_slot(chip) is None

    @pytest.mark.parametrize("part", PARTS)
    def test_9_4_req_auth_of_a_target_that_is_not_the_source_is_not_asked(self, part: str) -> None:
        assert self.derive(part, self.CREATE, KEY, slots={9: (self.CREATE, 0x05BC)}).last_refusal is None

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize(("slot", "asked"), [(4, True), (9, False)])
    def test_9_4_req_random_of_the_source_alone_is_asked(self, part: str, slot: int, asked: bool) -> None:
        slots = {slot: (self.CREATE if slot == 9 else SECRET[0], 0x007C)}
        fixed = (Opcode.NONCE, 3, 0, bytes(32))
        assert self.derive(part, self.CREATE, KEY, slots=slots).last_refusal is None
        refusal = self.derive(part, self.CREATE, KEY, slots=slots, nonce=fixed).last_refusal
        assert ("ReqRandom" in str(refusal)) is asked
        assert (refusal is not None) is asked


class TestValidation:
    """2.4.3, 9.20: a locked slot is validated and invalidated; one with an X509format byte is not."""

    SLOTS: Final = {0: (0x208F, PRIVATE), 13: (0x0F0F, PUBLIC), 14: (0x0F0D, PUBLIC | 2 | 0x4000)}

    def chip(self, part: str, open_points: OpenPoints | None = None, **config_bytes: bytes) -> Chip:
        """Return a chip whose slot 14 waits for the signature of slot 0, whose public key is in slot 13."""
        places = {int(place.removeprefix("at_")): content for place, content in config_bytes.items()}
        content = {0: SCALAR, 13: public_slot(ecc.public_key(SCALAR[4:])), 14: STORED}
        return chip_of(part, open_points, slots=self.SLOTS, content=content, config_bytes=places)

    @staticmethod
    def validate(chip: Chip, p1: int) -> ChipReply:
        """Let slot 0 sign the digest of slot 14 and show the signature to Verify(validate or invalidate)."""
        send(chip, Opcode.NONCE, 1, 0, bytes(20))
        send(chip, Opcode.GEN_KEY, 0x10, 14, bytes(3))
        sign_mode = p1 >> 2 & 1
        message = internal_message(chip.core, 0, sign_mode)
        signature = ecc.sign(SCALAR[4:], sha256(message).digest())
        other = message[33:43] + message[44:48] + message[50:55]
        return send(chip, Opcode.VERIFY, p1, 14, signature + other)

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("slot_locked", [b"\xff\xff", b"\xff\xbf"])
    def test_9_20_a_locked_slot_is_validated_and_invalidated(self, part: str, slot_locked: bytes) -> None:
        chip = self.chip(part, at_88=slot_locked)
        for p1, nibble in ((3, 0x50), (7, 0xA0), (3, 0x50)):
            reply = self.validate(chip, p1)
            assert reply.status == 0, reply.reason
            assert chip.memory.read_slot(14, 0, 1)[0] & 0xF0 == nibble

    @pytest.mark.parametrize(("part", "stops"), [(PART_508A, False), (PART_608A, True), (PART_608A, False)])
    @pytest.mark.parametrize("format_", [b"\0\0\0\0", b"\x11\0\x11\x11", b"\0\x11\0\0"])
    def test_9_20_the_slots_x509_format_stops_it(self, part: str, stops: bool, format_: bytes) -> None:
        """Bits 15-14 of KeyConfig choose the byte: 1 here."""
        chip = self.chip(part, OpenPoints(x509_format_stops_validation=stops), at_92=format_)
        refused = bool(format_[1]) and (stops or part == PART_508A)
        for p1 in (3, 7):
            reply = self.validate(chip, p1)
            assert reply.status == (0x0F if refused else 0)
            assert not refused or "X509format" in reply.reason

    def test_9_20_the_format_is_an_open_point_on_the_atecc608(self) -> None:
        chip = self.chip(PART_608A, at_92=b"\x11" * 4)
        send(chip, *RANDOM)
        send(chip, Opcode.GEN_KEY, 0x10, 14, bytes(3))
        notices(chip, "x509_format_stops_validation", Opcode.VERIFY, 3, 14, bytes(83))

    @pytest.mark.parametrize(
        ("part", "rule", "by_slot"), [(PART_508A, "mode", True), (PART_608A, "slot", True), (PART_608A, "mode", False)]
    )
    def test_9_18_the_byte_public_key_valid(self, part: str, rule: Any, by_slot: bool) -> None:
        chip = self.chip(part, OpenPoints(sign_internal_validity=rule))
        for state in (0, 1):
            chip.memory.write_slot(14, 0, bytes((0x50 if state else 0xA0,)))
            send(chip, *RANDOM)
            send(chip, Opcode.GEN_KEY, 0x10, 14, bytes(3))
            for bit in (0, 1):
                assert internal_message(chip.core, 0, bit)[53] == (state if by_slot else bit)

    def test_9_18_that_byte_is_an_open_point_on_the_atecc608(self) -> None:
        chip = self.chip(PART_608A)
        send(chip, *RANDOM)
        send(chip, Opcode.GEN_KEY, 0x10, 14, bytes(3))
        notices(chip, "sign_internal_validity", Opcode.SIGN, 0, 0)


class TestUpdateExtra:
    LIMITED: Final[dict[str, Any]] = {"slots": {4: (0x0FAF, 0x003C), 5: SECRET, 15: (0x0FAF, 0x003C)}}

    @pytest.mark.parametrize(
        ("part", "rule", "granted"), [(PART_508A, False, True), (PART_608A, True, True), (PART_608A, False, False)]
    )
    def test_9_19_mode_2_uses_up_one_use_of_a_key(self, part: str, rule: bool, granted: bool) -> None:
        chip = chip_of(part, OpenPoints(update_extra_use=rule), **self.LIMITED)
        before = bytes(chip.memory.config[84:86])
        assert send(chip, Opcode.UPDATE_EXTRA, 2, 4).status == (0 if granted else 0x03)
        assert read_counter(chip.memory, 0) == granted
        assert send(chip, Opcode.UPDATE_EXTRA, 2, 5).status == (0 if granted else 0x03)
        assert read_counter(chip.memory, 0) == granted
        assert bytes(chip.memory.config[84:86]) == before

    def test_9_19_a_key_without_another_use_is_an_error(self) -> None:
        chip = chip_of(PART_508A, **self.LIMITED)
        write_counter(chip.memory, 0, MAXIMUM)
        assert send(chip, Opcode.UPDATE_EXTRA, 2, 4).status == 0x0F
        for _ in range(128):
            chip.idle()
            assert send(chip, Opcode.UPDATE_EXTRA, 2, 15).status == 0
        assert send(chip, Opcode.UPDATE_EXTRA, 2, 15).status == 0x0F

    def test_9_19_mode_2_is_an_open_point_on_the_atecc608(self) -> None:
        notices(chip_of(PART_608A, **self.LIMITED), "update_extra_use", Opcode.UPDATE_EXTRA, 2, 4)

    @pytest.mark.parametrize("part", PARTS)
    def test_9_19_mode_3_and_key_ids_from_8000_on_are_refused(self, part: str) -> None:
        chip = chip_of(part, OpenPoints(update_extra_use=True), **self.LIMITED)
        assert send(chip, Opcode.UPDATE_EXTRA, 3, 4).status == 0x03
        assert send(chip, Opcode.UPDATE_EXTRA, 2, 0x8004).status == 0x03


@pytest.mark.parametrize("part", PARTS)
def test_2_4_3_a_lockable_slot_is_locked_before_and_after_the_data_lock(part: str) -> None:
    for data_locked in (False, True):
        chip = chip_of(part, slots={9: (0, 0x003C), 10: (0, 0x001C)}, data_locked=data_locked)
        assert send(chip, Opcode.LOCK, 2 | 10 << 2, 0).status == 0x0F
        assert send(chip, Opcode.LOCK, 2 | 9 << 2, 0xFFFF).status == 0
        assert send(chip, Opcode.WRITE, 0x82, 9 << 3, bytes(32)).status == 0x0F


def test_9_5_an_odd_slot_gives_no_master_secret_to_a_slot_on_the_atecc508a() -> None:
    """9.5: with bit 3 of ReadKey the result goes to slot N + 1, which an odd slot does not have."""
    slots = {0: (0x208C, PRIVATE), 1: (0x208C, PRIVATE), 2: SECRET, 15: (0x208C, PRIVATE)}
    content = {0: SCALAR, 1: SCALAR, 15: SCALAR}
    chip = chip_of(PART_508A, OpenPoints(ecdh_odd_partner="next"), slots=slots | {1: SECRET}, content=content)
    assert send(chip, Opcode.ECDH, 0, 0, GENERATOR).status == 0
    assert chip.memory.read_slot(1, 0, 32) == ecc.shared_secret(SCALAR[4:], GENERATOR)
    for odd in (1, 15):
        chip = chip_of(PART_508A, OpenPoints(ecdh_odd_partner="next"), slots=slots, content=content)
        assert send(chip, Opcode.ECDH, 0, odd, GENERATOR).status == 0x0F


def test_9_12_a_random_nonce_before_the_configuration_lock_is_of_the_fixed_pattern() -> None:
    """3.3.2, 9.12: the open point is for the ATECC608 and does not change this."""
    chip = chip_of(PART_508A, OpenPoints(nonce_before_lock=False), config_locked=False, data_locked=False)
    assert send(chip, *RANDOM).body == bytes.fromhex("ffff0000") * 8
    assert chip.core.temp_key.valid


def test_2_2_5_keys_are_used_before_the_data_lock_on_the_atecc508a() -> None:
    open_points = OpenPoints(data_open_use=False)
    chip = chip_of(PART_508A, open_points, slots={0: (0x208F, PRIVATE)}, content={0: SCALAR}, data_locked=False)
    send(chip, Opcode.NONCE, 3, 0, bytes(32))
    assert len(send(chip, Opcode.SIGN, 0x80, 0).body) == 64
