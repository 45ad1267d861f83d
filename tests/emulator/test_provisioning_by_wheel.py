"""The stock library takes a blank chip through configuration, keys, certificates and locks."""

from __future__ import annotations

import os
from ctypes import byref, c_uint16
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.chip.crc import crc16
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.memory import DATA_SIZE
from tests.support.stock_cryptoauthlib import PARSE_ERROR, Wheel, buffer, flag

FACTORY_16_TO_127 = bytes.fromhex(
    "c0000000832087208f20c48f8f8f8f8f9f8faf8f0000000000000000000000000000af8fffffffff00000000ffffffff00000000"
    "0000000000000000000000000000000000005555ffff0000000000003300330033001c001c001c001c001c003c003c003c003c00"
    "3c003c003c001c00"
)
"""tests/vectors/config-zones.json, factory-608a."""
CONFIG, OTP, DATA = 0, 1, 2
DIGEST = sha256(b"a message").digest()


def lock_config(wheel: Wheel) -> None:
    config = wheel.fetch("calib_read_config_zone", 128)
    wheel.call("calib_lock_config_zone_crc", crc16(config))


def lock_both(wheel: Wheel) -> None:
    lock_config(wheel)
    wheel.call("calib_lock_data_zone")


def is_locked(wheel: Wheel, zone: int) -> bool:
    """Ask the library, whose number for the data zone is 1 here."""
    locked = flag()
    wheel.call("calib_is_locked", 1 if zone == DATA else 0, byref(locked))
    return bool(locked.value)


def public_key(xy: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + xy)


def check_signature(xy: bytes, digest: bytes, signature: bytes) -> None:
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
    public_key(xy).verify(utils.encode_dss_signature(r, s), digest, algorithm)


class TestBlankChip:
    def test_it_is_an_ecc608a(self, wheel: Wheel) -> None:
        assert wheel.fetch("calib_info", 4) == bytes.fromhex("00006002")

    def test_its_configuration_is_the_factory_one(self, wheel: Wheel) -> None:
        config = wheel.fetch("calib_read_config_zone", 128)
        assert config[16:] == FACTORY_16_TO_127
        assert config[4:8] == bytes.fromhex("00006002")

    def test_its_serial_number_is_its_own(self, wheel: Wheel) -> None:
        serial = wheel.fetch("calib_read_serial_number", 9)
        assert serial[:2] == bytes.fromhex("0123")
        assert serial[8] == 0xEE
        assert len({Chip().memory.serial for _ in range(50)}) == 50

    def test_nothing_is_locked(self, wheel: Wheel) -> None:
        assert not is_locked(wheel, CONFIG)
        assert not is_locked(wheel, DATA)

    def test_random_shows_the_fixed_pattern(self, wheel: Wheel) -> None:
        assert wheel.fetch("calib_random", 32) == bytes.fromhex("ffff0000") * 8

    def test_keys_signatures_and_data_have_to_wait(self, wheel: Wheel) -> None:
        wheel.refused("calib_genkey", 0, buffer(bytes(64)))
        wheel.refused("calib_sign", 0, buffer(DIGEST), buffer(bytes(64)))
        wheel.refused("calib_read_zone", DATA, 8, 0, 0, buffer(bytes(32)), 32)
        wheel.refused("calib_write_zone", DATA, 8, 0, 0, buffer(bytes(32)), 32)
        wheel.refused("calib_lock_data_zone")


class TestConfiguration:
    def test_a_written_zone_reads_back(self, wheel: Wheel) -> None:
        wanted = bytearray(wheel.fetch("calib_read_config_zone", 128))
        wanted[20:22] = bytes.fromhex("8720")
        wanted[96:98] = bytes.fromhex("5300")
        wheel.call("calib_write_config_zone", buffer(bytes(wanted)))
        assert wheel.fetch("calib_read_config_zone", 128) == bytes(wanted)
        same = flag()
        wheel.call("calib_cmp_config_zone", buffer(bytes(wanted)), byref(same))
        assert same.value

    def test_a_wrong_crc_locks_nothing(self, wheel: Wheel) -> None:
        config = wheel.fetch("calib_read_config_zone", 128)
        wheel.refused("calib_lock_config_zone_crc", crc16(config) ^ 1)
        assert not is_locked(wheel, CONFIG)

    def test_lock_is_permanent(self, wheel: Wheel) -> None:
        lock_config(wheel)
        assert is_locked(wheel, CONFIG)
        wheel.refused("calib_lock_config_zone")
        wheel.refused("calib_write_zone", CONFIG, 0, 0, 5, buffer(bytes(4)), 4)
        wheel.refused("calib_write_zone", CONFIG, 0, 1, 0, buffer(bytes(32)), 32)

    def test_serial_number_and_lock_bytes_cannot_be_written(self, wheel: Wheel) -> None:
        for block, word in ((0, 0), (0, 1), (0, 2), (0, 3), (2, 5)):
            wheel.refused("calib_write_zone", CONFIG, 0, block, word, buffer(bytes(4)), 4)
        for block in (0, 2):
            wheel.refused("calib_write_zone", CONFIG, 0, block, 0, buffer(bytes(32)), 32)

    def test_update_extra_works_once(self, wheel: Wheel) -> None:
        wheel.call("calib_updateextra", 0, 0)
        wheel.call("calib_updateextra", 0, 0x42)
        wheel.refused("calib_updateextra", 0, 0x43)
        lock_both(wheel)
        wheel.call("calib_updateextra", 1, 0x6A)
        assert wheel.fetch("calib_read_config_zone", 128)[84:86] == bytes((0x42, 0x6A))
        wheel.refused("calib_updateextra", 2, 0, status=PARSE_ERROR)


class TestKeys:
    def test_random_is_random_after_the_lock(self, wheel: Wheel) -> None:
        lock_config(wheel)
        assert len({wheel.fetch("calib_random", 32) for _ in range(4)}) == 4

    def test_a_slot_has_no_key_before_the_first_gen_key(self, wheel: Wheel) -> None:
        lock_config(wheel)
        wheel.refused("calib_get_pubkey", 0, buffer(bytes(64)))
        wheel.refused("calib_sign", 0, buffer(DIGEST), buffer(bytes(64)))
        assert wheel.fetch("calib_info_base", 4, 1, 0) == bytes(4)

    @pytest.mark.parametrize("slot", [0, 1, 2])
    def test_a_new_key_signs(self, wheel: Wheel, slot: int) -> None:
        lock_config(wheel)
        created = wheel.fetch("calib_genkey", 64, slot)
        assert wheel.fetch("calib_get_pubkey", 64, slot) == created
        assert wheel.fetch("calib_info_base", 4, 1, slot)[0] == 1
        lock_data_zone(wheel)
        check_signature(created, DIGEST, wheel.fetch("calib_sign", 64, slot, buffer(DIGEST)))

    def test_a_private_key_is_never_readable(self, wheel: Wheel) -> None:
        lock_config(wheel)
        wheel.fetch("calib_genkey", 64, 0)
        wheel.refused("calib_write_zone", DATA, 0, 0, 0, buffer(bytes(32)), 32)
        lock_data_zone(wheel)
        for size in (4, 32):
            wheel.refused("calib_read_zone", DATA, 0, 0, 0, buffer(bytes(size)), size)

    def test_a_foreign_signature_is_verified(self, wheel: Wheel) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        algorithm = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
        r, s = utils.decode_dss_signature(key.sign(DIGEST, algorithm))
        numbers = key.public_key().public_numbers()
        xy = numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
        signature = r.to_bytes(32) + s.to_bytes(32)
        assert verified(wheel, DIGEST, signature, xy)
        assert not verified(wheel, sha256(b"another").digest(), signature, xy)
        assert not verified(wheel, DIGEST, bytes(64), xy)
        wrong = flag()
        off_curve = buffer(xy[:63] + bytes((xy[63] ^ 1,)))
        wheel.refused("calib_verify_extern", buffer(DIGEST), buffer(signature), off_curve, byref(wrong))

    def test_the_internal_signature_of_a_new_key_fits_the_message(self, wheel: Wheel, chip: Chip) -> None:
        lock_config(wheel)
        created = wheel.fetch("calib_genkey", 64, 0)
        signer = wheel.fetch("calib_genkey", 64, 1)
        lock_data_zone(wheel)  # before it no internal signature (DS20005927A, 9.18)
        rand_out = wheel.fetch("calib_nonce_rand", 32, buffer(bytes(20)))
        nonce = sha256(rand_out + bytes(20) + bytes.fromhex("160000")).digest()
        wheel.call("calib_genkey_base", 8, 0, None, buffer(bytes(64)))
        signature = wheel.fetch("calib_sign_internal", 64, 1, False, False)
        sn = chip.memory.serial
        header = bytes.fromhex("40080000") + sn[8:] + sn[:2] + bytes(25)
        digest = sha256(nonce + header + created).digest()
        fields = bytes.fromhex("41000100" + "8320" + "3300" + "400000") + sn[8:] + bytes(4) + sn[:2] + bytes(2)
        check_signature(signer, sha256(digest + fields + bytes.fromhex("010000")).digest(), signature)


def lock_data_zone(wheel: Wheel) -> None:
    wheel.call("calib_lock_data_zone")


def verified(wheel: Wheel, digest: bytes, signature: bytes, xy: bytes) -> bool:
    result = flag()
    wheel.call("calib_verify_extern", buffer(digest), buffer(signature), buffer(xy), byref(result))
    return bool(result.value)


class TestDataZone:
    def test_certificates_and_padded_keys_come_back_after_the_lock(self, wheel: Wheel) -> None:
        lock_config(wheel)
        certificate, key, big = os.urandom(72), os.urandom(64), os.urandom(416)
        write_blocks(wheel, 10, certificate)
        wheel.call("calib_write_pubkey", 11, buffer(key))
        wheel.call("calib_write_bytes_zone", DATA, 8, 0, buffer(big), 416)
        wheel.refused("calib_read_zone", DATA, 10, 0, 0, buffer(bytes(32)), 32)
        lock_data_zone(wheel)
        assert read_bytes(wheel, DATA, 10, 72) == certificate
        assert wheel.fetch("calib_read_pubkey", 64, 11) == key
        assert read_bytes(wheel, DATA, 8, 416) == big

    def test_otp_is_written_before_and_read_after_the_lock(self, wheel: Wheel) -> None:
        lock_config(wheel)
        wheel.call("calib_write_zone", OTP, 0, 1, 0, buffer(b"o" * 32), 32)
        wheel.refused("calib_read_zone", OTP, 0, 0, 0, buffer(bytes(32)), 32)
        lock_data_zone(wheel)
        assert read_bytes(wheel, OTP, 0, 64) == b"\xff" * 32 + b"o" * 32
        wheel.refused("calib_write_zone", OTP, 0, 1, 0, buffer(bytes(32)), 32)

    def test_the_data_lock_checks_everything_but_private_keys(self, wheel: Wheel, chip: Chip) -> None:
        lock_config(wheel)
        wheel.fetch("calib_genkey", 64, 0)
        write_blocks(wheel, 9, b"n" * 72)
        public_part = bytearray(b"\xff" * (DATA_SIZE - 3 * 36) + b"\xff" * 64)
        slot_9 = 5 * 36 + 416
        public_part[slot_9 : slot_9 + 72] = b"n" * 72
        right = crc16(bytes(public_part))
        wheel.refused("calib_lock_data_zone_crc", right ^ 0x8000)
        wheel.call("calib_lock_data_zone_crc", right)
        assert is_locked(wheel, DATA)
        wheel.refused("calib_lock_data_zone")

    def test_a_locked_slot_takes_nothing_more(self, wheel: Wheel) -> None:
        lock_both(wheel)
        wheel.call("calib_write_zone", DATA, 9, 0, 0, buffer(bytes(32)), 32)
        wheel.call("calib_lock_data_slot", 9)
        locked = flag()
        wheel.call("calib_is_slot_locked", c_uint16(9), byref(locked))
        assert locked.value
        wheel.refused("calib_write_zone", DATA, 9, 0, 0, buffer(bytes(32)), 32)
        wheel.refused("calib_lock_data_slot", 9)
        wheel.refused("calib_lock_data_slot", 3)

    def test_a_locked_key_slot_makes_no_new_key_but_signs(self, wheel: Wheel) -> None:
        lock_config(wheel)
        created = wheel.fetch("calib_genkey", 64, 0)
        lock_data_zone(wheel)
        wheel.call("calib_lock_data_slot", 0)
        wheel.refused("calib_genkey", 0, buffer(bytes(64)))
        check_signature(created, DIGEST, wheel.fetch("calib_sign", 64, 0, buffer(DIGEST)))


def write_blocks(wheel: Wheel, slot: int, content: bytes) -> None:
    """Write whole blocks, the only writes of an open data zone; the last one is filled up with zeros."""
    for start in range(0, len(content), 32):
        block = buffer(content[start : start + 32].ljust(32, b"\0"))
        wheel.call("calib_write_zone", DATA, slot, start // 32, 0, block, 32)


def read_bytes(wheel: Wheel, zone: int, slot: int, size: int) -> bytes:
    out = buffer(bytes(size))
    wheel.call("calib_read_bytes_zone", zone, slot, 0, out, size)
    return bytes(out)


class TestSha:
    @pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 127, 128, 200])
    def test_chip_hashes_like_hashlib(self, wheel: Wheel, size: int) -> None:
        message = os.urandom(size)
        assert wheel.fetch("calib_hw_sha2_256", 32, buffer(message), size) == sha256(message).digest()

    def test_context_can_continue_on_another_chip(self, wheel: Wheel) -> None:
        message = os.urandom(150)
        wheel.call("calib_sha_start")
        wheel.call("calib_sha_update", buffer(message[:64]))
        wheel.call("calib_sha_base", 1, 20, buffer(message[64:84]), None, None)
        size = c_uint16(99)
        context = buffer(bytes(99))
        wheel.call("calib_sha_read_context", context, byref(size))
        assert size.value == 36 + 20
        wheel.call("calib_sha_start")
        wheel.call("calib_sha_write_context", context, size)
        wheel.call("calib_sha_base", 1, 6, buffer(message[84:90]), None, None)
        digest = buffer(bytes(32))
        wheel.call("calib_sha_end", digest, 60, buffer(message[90:]))
        assert bytes(digest) == sha256(message).digest()
