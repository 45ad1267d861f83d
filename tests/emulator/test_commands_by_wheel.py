"""The stock library's functions on a locked chip with the vendor's published test configuration (config-zones.json,
cal-reference-608): what the library computes on the host must agree with what the chip computes inside.
"""

from __future__ import annotations

import hmac
import json
import os
from ctypes import byref, c_uint8, c_uint32
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from atcaprov.chip.memory_map import LOCK_VALUE, REVISION
from atcaprov.emulator.chip import Chip
from tests.support.both_chip_types import PART_508A, PART_608A, PARTS, REVISION_508A
from tests.support.chips import configured_memory
from tests.support.stock_cryptoauthlib import Wheel, buffer, driven, flag

ZONES: Final = json.loads((Path(__file__).parent.parent / "vectors" / "config-zones.json").read_text())["zones"]
REFERENCE: Final = next(bytes.fromhex(z["bytes_16_127"]) for z in ZONES if z["id"] == "cal-reference-608")
KEY_4: Final = bytes(range(0x30, 0x50))
NUM_IN: Final = bytes(range(20))
MESSAGE: Final = sha256(b"a message").digest()


def reference_chip(part: str = PART_608A) -> Chip:
    """A locked chip of the reference configuration with keys in 0, 2 and 7, and the parent key in slot 4."""
    memory = configured_memory(config_bytes={16: REFERENCE}, data_locked=False)
    memory.config[LOCK_VALUE] = 0x55
    memory.config[87] = 0
    if part == PART_508A:
        memory.config[REVISION] = memory.revision = REVISION_508A
    chip = Chip(memory)
    with driven(chip) as wheel:
        for slot in (0, 2, 7):
            wheel.fetch("calib_genkey", 64, slot)
        for slot, content in ((4, KEY_4), (6, KEY_4), (10, (2048).to_bytes(4, "little") * 2 + bytes(24))):
            wheel.call("calib_write_zone", 2, slot, 0, 0, buffer(content), 32)
        wheel.call("calib_lock_data_zone")
    return chip


@pytest.fixture
def chip(request: pytest.FixtureRequest) -> Chip:
    return reference_chip(getattr(request, "param", PART_608A))


BOTH_PARTS: Final = pytest.mark.parametrize("chip", PARTS, indirect=True)
"""What the library does with both parts, in the way that each needs."""


def host_key() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    numbers = key.public_key().public_numbers()
    return key, numbers.x.to_bytes(32) + numbers.y.to_bytes(32)


def host_sign(key: ec.EllipticCurvePrivateKey, digest: bytes) -> bytes:
    r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    return r.to_bytes(32) + s.to_bytes(32)


def shared(key: ec.EllipticCurvePrivateKey, xy: bytes) -> bytes:
    peer = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + xy)
    return key.exchange(ec.ECDH(), peer)


class TestEncryptedAccess:
    @BOTH_PARTS
    def test_what_is_written_encrypted_is_read_encrypted(self, wheel: Wheel, chip: Chip) -> None:
        secret = os.urandom(32)
        wheel.call("calib_write_enc", 8, 1, buffer(secret), buffer(KEY_4), 4, buffer(NUM_IN))
        assert chip.memory.read_slot(8, 32, 32) == secret
        out = buffer(bytes(32))
        wheel.call("calib_read_enc", 8, 1, out, buffer(KEY_4), 4, buffer(NUM_IN))
        assert bytes(out) == secret
        wheel.refused("calib_read_zone", 2, 8, 1, 0, out, 32)

    @BOTH_PARTS
    def test_a_wrong_key_writes_nothing(self, wheel: Wheel, chip: Chip) -> None:
        before = chip.memory.image()
        wheel.refused("calib_write_enc", 8, 0, buffer(bytes(32)), buffer(bytes(32)), 4, buffer(NUM_IN))
        wheel.refused("calib_write_enc", 8, 0, buffer(bytes(32)), buffer(KEY_4), 6, buffer(NUM_IN))
        assert chip.memory.image() == before

    @BOTH_PARTS
    def test_a_private_key_comes_in_encrypted(self, wheel: Wheel) -> None:
        key, xy = host_key()
        scalar = bytes(4) + key.private_numbers().private_value.to_bytes(32)
        wheel.call("calib_priv_write", 7, buffer(scalar), 4, buffer(KEY_4), buffer(NUM_IN))
        assert wheel.fetch("calib_get_pubkey", 64, 7) == xy
        wheel.refused("calib_priv_write", 0, buffer(scalar), 4, buffer(KEY_4), buffer(NUM_IN))
        wheel.refused("calib_priv_write", 7, buffer(scalar), 0, None, None)

    def test_a_private_key_comes_in_clear_before_the_data_lock(self) -> None:
        memory = configured_memory(config_bytes={16: REFERENCE}, data_locked=False)
        memory.config[LOCK_VALUE] = 0x55
        key, xy = host_key()
        scalar = bytes(4) + key.private_numbers().private_value.to_bytes(32)
        with driven(Chip(memory)) as wheel:
            wheel.call("calib_priv_write", 2, buffer(scalar), 0, None, None)
            assert wheel.fetch("calib_get_pubkey", 64, 2) == xy
            wheel.refused("calib_priv_write", 2, buffer(bytes(36)), 0, None, None, status=-42)


class TestMac:
    @BOTH_PARTS
    def test_mac_and_check_mac_fit_each_other(self, wheel: Wheel) -> None:
        challenge = os.urandom(32)
        digest = wheel.fetch("calib_mac", 32, 0, 4, buffer(challenge))
        other = bytes.fromhex("08000400") + bytes(9)
        wheel.call("calib_checkmac", 0, 4, buffer(challenge), buffer(digest), buffer(other))
        wheel.refused("calib_checkmac", 0, 4, buffer(challenge), buffer(bytes(32)), buffer(other), status=-47)

    @BOTH_PARTS
    def test_a_key_for_verification_makes_no_mac(self, wheel: Wheel) -> None:
        wheel.refused("calib_mac", 0, 6, buffer(bytes(32)), buffer(bytes(32)))
        wheel.refused("calib_sha_hmac", buffer(b"x"), 1, 6, buffer(bytes(32)), 0xC0)

    @pytest.mark.parametrize("size", [0, 1, 64, 100])
    def test_hmac(self, wheel: Wheel, size: int) -> None:
        message = os.urandom(size)
        out = buffer(bytes(32))
        wheel.call("calib_sha_hmac", buffer(message), size, 4, out, 0xC0)
        assert bytes(out) == hmac.digest(KEY_4, message, "sha256")
        wheel.call("calib_nonce_load", 0, buffer(KEY_4), 32)
        wheel.call("calib_sha_hmac", buffer(message), size, 0xFFFF, out, 0x40)
        assert bytes(out) == hmac.digest(KEY_4, message, "sha256")


@BOTH_PARTS
class TestDeriveKey:
    def test_a_rolled_key_is_the_one_the_host_computes(self, wheel: Wheel, chip: Chip) -> None:
        parent = chip.memory.read_slot(9, 0, 32)
        wheel.call("calib_nonce_load", 0, buffer(MESSAGE), 32)
        wheel.call("calib_derivekey", 4, 9, None)
        sn = chip.memory.serial
        message = parent + bytes.fromhex("1c040900") + sn[8:] + sn[:2] + bytes(25) + MESSAGE
        assert chip.memory.read_slot(9, 0, 32) == sha256(message).digest()

    def test_it_is_refused_without_the_bit_a_nonce_or_the_mac(self, wheel: Wheel, chip: Chip) -> None:
        before = chip.memory.image()
        wheel.refused("calib_derivekey", 4, 9, None)
        for slot in (3, 4, 5):
            wheel.call("calib_nonce_load", 0, buffer(MESSAGE), 32)
            wheel.refused("calib_derivekey", 4, slot, None)
        assert chip.memory.image() == before


class TestCounters:
    @pytest.mark.slow
    @BOTH_PARTS
    def test_they_count_up_and_stay(self, wheel: Wheel) -> None:
        value = c_uint32()
        for number in (0, 1):
            wheel.call("calib_counter_read", number, byref(value))
            assert value.value == 0
            for expected in range(1, 70):
                wheel.call("calib_counter_increment", number, byref(value))
                assert value.value == expected
        wheel.chip.sleep()
        wheel.call("calib_counter_read", 1, byref(value))
        assert value.value == 69

    def test_the_library_writes_a_start_value_the_chip_understands(self) -> None:
        value = c_uint32()
        with driven(Chip()) as wheel:
            for number, start in ((0, 1000), (1, 2_097_151)):
                wheel.call("calib_write_config_counter", number, start)
                wheel.call("calib_counter_read", number, byref(value))
                assert value.value == start
            wheel.refused("calib_counter_increment", 1, byref(value))


class TestEcdh:
    @BOTH_PARTS
    def test_clear_from_a_slot(self, wheel: Wheel) -> None:
        key, xy = host_key()
        chip_key = wheel.fetch("calib_get_pubkey", 64, 2)
        wheel.chip.memory.config[91] = 0x40  # ECDH protection 0
        assert wheel.fetch("calib_ecdh", 32, 2, buffer(xy)) == shared(key, chip_key)

    def test_into_the_partner_slot(self, wheel: Wheel) -> None:
        key, xy = host_key()
        chip_key = wheel.fetch("calib_get_pubkey", 64, 0)
        out = buffer(bytes(32))
        wheel.call("calib_ecdh_enc", 0, buffer(xy), out, buffer(KEY_4), 4, buffer(NUM_IN))
        assert bytes(out) == shared(key, chip_key)

    def test_encrypted_from_a_slot_and_from_temp_key(self, wheel: Wheel) -> None:
        key, xy = host_key()
        chip_key = wheel.fetch("calib_get_pubkey", 64, 2)
        out = buffer(bytes(32))
        wheel.call("calib_ecdh_ioenc", 2, buffer(xy), out, buffer(KEY_4))
        assert bytes(out) == shared(key, chip_key)
        temporary = wheel.fetch("calib_genkey", 64, 0xFFFF)
        wheel.call("calib_ecdh_tempkey_ioenc", buffer(xy), out, buffer(KEY_4))
        assert bytes(out) == shared(key, temporary)
        wheel.refused("calib_ecdh_tempkey_ioenc", buffer(xy), out, buffer(KEY_4))

    def test_clear_from_temp_key(self, wheel: Wheel) -> None:
        key, xy = host_key()
        temporary = wheel.fetch("calib_genkey", 64, 0xFFFF)
        assert wheel.fetch("calib_ecdh_tempkey", 32, buffer(xy)) == shared(key, temporary)

    def test_into_temp_key(self, wheel: Wheel) -> None:
        key, xy = host_key()
        chip_key = wheel.fetch("calib_get_pubkey", 64, 2)
        wheel.call("calib_ecdh_base", 8, 2, buffer(xy), None, None)
        out = buffer(bytes(32))
        wheel.call("calib_sha_hmac", buffer(b"x"), 1, 0xFFFF, out, 0xC0)
        assert bytes(out) == hmac.digest(shared(key, chip_key), b"x", "sha256")

    def test_a_peer_off_the_curve_and_keys_without_ecdh_are_refused(self, wheel: Wheel) -> None:
        _, xy = host_key()
        out = buffer(bytes(32))
        wheel.refused("calib_ecdh_base", 0x0C, 2, buffer(bytes(64)), out, None)
        wheel.refused("calib_ecdh_base", 0x0C, 7, buffer(xy), out, None)
        wheel.refused("calib_ecdh_base", 0x0C, 4, buffer(xy), out, None)
        wheel.refused("calib_ecdh_base", 0x0C, 0, buffer(xy), out, None)


class TestKdf:
    MESSAGE_16: Final = bytes(range(16))

    def test_prf_from_a_slot_encrypted(self, wheel: Wheel) -> None:
        key = os.urandom(32)
        wheel.call("calib_write_zone", 2, 5, 0, 0, buffer(key), 32)
        wheel.chip.core.powered.latch = True
        out, nonce = buffer(bytes(64)), buffer(bytes(32))
        details = 16 << 24 | 1 << 8 | 1
        wheel.call("calib_kdf", 0x02 | 5 << 2, 5, details, buffer(self.MESSAGE_16), out, nonce)
        streams = (sha256(KEY_4 + bytes(nonce)[start : start + 16]).digest() for start in (0, 16))
        clear = bytes(a ^ b for a, b in zip(bytes(out), b"".join(streams), strict=True))
        assert clear == prf(key, self.MESSAGE_16, 64)

    def test_aes_and_hkdf_from_temp_key(self, wheel: Wheel) -> None:
        key = os.urandom(32)
        wheel.call("calib_nonce_load", 0, buffer(key), 32)
        out = buffer(bytes(32))
        wheel.call("calib_kdf", 0x20 | 4 << 2, 0, 1, buffer(self.MESSAGE_16), out, None)
        assert bytes(out) == aes_ecb(key[16:], self.MESSAGE_16) + bytes(16)
        wheel.call("calib_kdf", 0x40 | 4 << 2, 0, 16 << 24 | 2, buffer(self.MESSAGE_16), out, None)
        assert bytes(out) == hmac.digest(key, self.MESSAGE_16, "sha256")

    def test_the_special_iv_must_be_in_its_place(self, wheel: Wheel) -> None:
        wheel.call("calib_nonce_load", 0, buffer(bytes(32)), 32)
        out = buffer(bytes(32))
        good = bytes(9) + b"iv" + bytes(5)
        wheel.call("calib_kdf", 0x40 | 4 << 2, 0, 16 << 24 | 3, buffer(good), out, None)
        assert bytes(out) == hmac.digest(bytes(32), good, "sha256")
        wheel.refused("calib_kdf", 0x40 | 4 << 2, 0, 16 << 24 | 3, buffer(self.MESSAGE_16), out, None)

    def test_into_a_slot_temp_key_and_the_alternate_key_buffer(self, wheel: Wheel, chip: Chip) -> None:
        key = os.urandom(32)
        wheel.call("calib_nonce_load", 0, buffer(key), 32)
        details = 16 << 24 | 1
        wheel.call("calib_kdf", 2 << 2, 5 << 8, details, buffer(self.MESSAGE_16), None, None)
        assert chip.memory.read_slot(5, 0, 32) == prf(key, self.MESSAGE_16, 32)
        wheel.refused("calib_kdf", 2 << 2, 4 << 8, details, buffer(self.MESSAGE_16), None, None)
        wheel.call("calib_kdf", 3 << 2, 0, details, buffer(self.MESSAGE_16), None, None)
        assert chip.core.volatile.alternate_key == prf(key, self.MESSAGE_16, 32)
        wheel.call("calib_kdf", 3 | 4 << 2, 0, details, buffer(self.MESSAGE_16), buffer(bytes(32)), None)
        wheel.call("calib_kdf", 1 << 2, 0, details, buffer(self.MESSAGE_16), None, None)
        assert chip.core.temp_key.value == key + prf(key, self.MESSAGE_16, 32)


def prf(secret: bytes, seed: bytes, size: int) -> bytes:
    """P_SHA256 of RFC 5246."""
    result, link = b"", seed
    while len(result) < size:
        link = hmac.digest(secret, link, "sha256")
        result += hmac.digest(secret, link + seed, "sha256")
    return result


def aes_ecb(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


class TestAes:
    def test_blocks_with_a_slot_and_with_temp_key(self, wheel: Wheel) -> None:
        keys, block = os.urandom(64), os.urandom(16)
        for part in range(2):
            wheel.call("calib_write_zone", 2, 10, part, 0, buffer(keys[32 * part : 32 * part + 32]), 32)
        wheel.call("calib_nonce_load", 0, buffer(keys), 64)
        for place in range(4):
            key = keys[16 * place : 16 * place + 16]
            for slot in (10, 0xFFFF):
                cipher = wheel.fetch("calib_aes_encrypt", 16, slot, place, buffer(block))
                assert cipher == aes_ecb(key, block)
                assert wheel.fetch("calib_aes_decrypt", 16, slot, place, buffer(cipher)) == block

    def test_a_slot_of_another_type_is_refused(self, wheel: Wheel) -> None:
        for slot in (0, 4, 11):
            wheel.refused("calib_aes_encrypt", slot, 0, buffer(bytes(16)), buffer(bytes(16)))

    @pytest.mark.parametrize("size", [0, 1, 16, 45])
    @pytest.mark.parametrize("iv_size", [12, 16])
    def test_gcm_runs_on_the_chip(self, wheel: Wheel, size: int, iv_size: int) -> None:
        key, iv, plain, extra = (os.urandom(n) for n in (16, iv_size, size, 20))
        wheel.call("calib_nonce_load", 0, buffer(key + bytes(16)), 32)
        context, cipher, tag = buffer(bytes(1024)), buffer(bytes(size)), buffer(bytes(16))
        wheel.call("calib_aes_gcm_init", context, 0xFFFF, 0, buffer(iv), iv_size)
        wheel.call("calib_aes_gcm_aad_update", context, buffer(extra), 20)
        if size:
            wheel.call("calib_aes_gcm_encrypt_update", context, buffer(plain), size, cipher)
        wheel.call("calib_aes_gcm_encrypt_finish", context, tag, 16)
        assert bytes(cipher) + bytes(tag) == AESGCM(key).encrypt(iv, plain, extra)


class TestPersistentLatch:
    def test_the_latch_opens_the_slots_that_it_disables(self, wheel: Wheel) -> None:
        block = buffer(bytes(16))
        wheel.refused("calib_aes_encrypt", 5, 0, block, buffer(bytes(16)))
        wheel.refused("calib_info_set_latch", True)
        authorize(wheel)
        wheel.call("calib_info_set_latch", True)
        state = flag()
        wheel.call("calib_info_get_latch", byref(state))
        assert state.value
        wheel.chip.wake()
        wheel.chip.sleep()
        wheel.call("calib_aes_encrypt", 5, 0, block, buffer(bytes(16)))
        wheel.call("calib_info_set_latch", False)
        wheel.refused("calib_aes_encrypt", 5, 0, block, buffer(bytes(16)))


def authorize(wheel: Wheel) -> None:
    """Prove slot 4's key by CheckMac over a random nonce."""
    other = bytes(13)
    wheel.call("calib_nonce_rand", buffer(os.urandom(20)), None)
    sn = wheel.chip.memory.serial
    message = (
        KEY_4 + wheel.chip.core.temp_key.key + bytes(4) + bytes(8) + bytes(3) + sn[8:] + bytes(4) + sn[:2] + bytes(2)
    )
    response = sha256(message).digest()
    wheel.call("calib_checkmac", 1, 4, None, buffer(response), buffer(other))


class TestVerify:
    @BOTH_PARTS
    def test_stored_keys(self, wheel: Wheel) -> None:
        key, xy = host_key()
        wheel.call("calib_write_pubkey", 11, buffer(xy))
        assert verified(wheel, "calib_verify_stored", MESSAGE, host_sign(key, MESSAGE), 11)
        assert not verified(wheel, "calib_verify_stored", bytes(32), host_sign(key, MESSAGE), 11)

    @BOTH_PARTS
    def test_a_key_that_needs_validation(self, wheel: Wheel) -> None:
        """Slot 14 is validated by slot 15: nonce, digest of the stored key, the parent's signature."""
        parent, parent_xy = host_key()
        key, xy = host_key()
        wheel.call("calib_write_pubkey", 15, buffer(parent_xy))
        wheel.call("calib_write_pubkey", 14, buffer(xy))
        result = flag()
        signature = buffer(host_sign(key, MESSAGE))
        wheel.refused("calib_verify_stored", buffer(MESSAGE), signature, 14, byref(result))
        assert change_validity(wheel, parent, xy, "calib_verify_validate")
        assert verified(wheel, "calib_verify_stored", MESSAGE, host_sign(key, MESSAGE), 14)
        assert wheel.fetch("calib_info_base", 4, 1, 14)[0] == 1
        assert change_validity(wheel, parent, xy, "calib_verify_invalidate")
        wheel.refused("calib_verify_stored", buffer(MESSAGE), signature, 14, byref(result))
        assert not change_validity(wheel, key, xy, "calib_verify_validate")

    def test_the_answer_with_a_mac(self, wheel: Wheel) -> None:
        key, xy = host_key()
        wheel.call("calib_write_pubkey", 11, buffer(xy))
        good, wrong = host_sign(key, MESSAGE), host_sign(key, bytes(32))
        for signature, expected in ((good, True), (wrong, False)):
            result = flag()
            arguments = buffer(MESSAGE), buffer(signature)
            wheel.call(
                "calib_verify_extern_mac", *arguments, buffer(xy), buffer(bytes(32)), buffer(KEY_4), byref(result)
            )
            assert bool(result.value) is expected
            wheel.call("calib_verify_stored_mac", *arguments, 11, buffer(bytes(32)), buffer(KEY_4), byref(result))
            assert bool(result.value) is expected


def verified(wheel: Wheel, name: str, digest: bytes, signature: bytes, slot: int) -> bool:
    result = flag()
    wheel.call(name, buffer(digest), buffer(signature), slot, byref(result))
    return bool(result.value)


def change_validity(wheel: Wheel, parent: ec.EllipticCurvePrivateKey, xy: bytes, name: str) -> bool:
    """Sign the validation message of slot 14 as a chip with the parent's key would."""
    rand_out = wheel.fetch("calib_nonce_rand", 32, buffer(NUM_IN))
    nonce = sha256(rand_out + NUM_IN + bytes.fromhex("160000")).digest()
    other3 = bytes.fromhex("112233")
    wheel.call("calib_genkey_base", 0x10, 14, buffer(other3), None)
    sn = wheel.chip.memory.serial
    digest = sha256(nonce + b"\x40" + other3 + sn[8:] + sn[:2] + bytes(25) + xy).digest()
    other = bytearray(os.urandom(19))
    other[17] = int(name == "calib_verify_invalidate")
    message = digest + b"\x41" + other[:10] + sn[8:] + other[10:14] + sn[:2] + other[14:]
    signature = host_sign(parent, sha256(message).digest())
    result = flag()
    wheel.call(name, 14, buffer(signature), buffer(bytes(other)), byref(result))
    return bool(result.value)


class TestSelfTest:
    @pytest.mark.parametrize("tests", [0x01, 0x3B, 0x3F])
    def test_working_chip_passes(self, wheel: Wheel, tests: int) -> None:
        result = c_uint8(0xAA)
        wheel.call("calib_selftest", tests, 0, byref(result))
        assert result.value == 0


class TestSecureBoot:
    """The reference configuration: FullDig, the digest in slot 12, the public key in slot 11."""

    FULL, STORE, COPY = 5, 6, 7

    @pytest.fixture
    def key(self, wheel: Wheel) -> ec.EllipticCurvePrivateKey:
        key, xy = host_key()
        wheel.call("calib_write_pubkey", 11, buffer(xy))
        return key

    def test_copy_then_store(self, wheel: Wheel, key: ec.EllipticCurvePrivateKey) -> None:
        signature = buffer(host_sign(key, MESSAGE))
        wheel.refused("calib_secureboot", self.STORE, 0, buffer(MESSAGE), None, None, status=-47)
        wheel.call("calib_secureboot", self.FULL, 0, buffer(MESSAGE), signature, None)
        wheel.refused("calib_secureboot", self.FULL, 0, buffer(bytes(32)), signature, None, status=-47)
        wheel.call("calib_secureboot", self.COPY, 0, buffer(MESSAGE), signature, None)
        wheel.call("calib_secureboot", self.STORE, 0, buffer(MESSAGE), None, None)

    def test_with_mac(self, wheel: Wheel, key: ec.EllipticCurvePrivateKey) -> None:
        signature = host_sign(key, MESSAGE)
        for mode in (self.FULL, self.COPY, self.STORE):
            assert booted(wheel, mode, MESSAGE, signature)
        for mode in (self.FULL, self.STORE):
            assert not booted(wheel, mode, bytes(32), signature)

    def test_prohibited_until_power_off(self, wheel: Wheel, key: ec.EllipticCurvePrivateKey) -> None:
        signature = buffer(host_sign(key, MESSAGE))
        wheel.call("calib_secureboot", self.FULL | 0x40, 0, buffer(MESSAGE), signature, None)
        wheel.refused("calib_secureboot", self.FULL, 0, buffer(MESSAGE), signature, None)
        wheel.chip.power_cycle()
        wheel.call("calib_secureboot", self.FULL, 0, buffer(MESSAGE), signature, None)


def booted(wheel: Wheel, mode: int, digest: bytes, signature: bytes) -> bool:
    result = flag()
    arguments = buffer(digest), buffer(signature), buffer(NUM_IN), buffer(KEY_4)
    wheel.call("calib_secureboot_mac", mode, *arguments, byref(result))
    return bool(result.value)


class TestLimitedUse:
    @pytest.mark.slow
    def test_slot_0_signs_until_the_limit_in_slot_10(self, wheel: Wheel, chip: Chip) -> None:
        value = c_uint32()
        wheel.fetch("calib_sign", 64, 0, buffer(MESSAGE))
        wheel.call("calib_counter_read", 0, byref(value))
        assert value.value == 1
        limit = (32).to_bytes(4, "little") * 2 + bytes(24)
        wheel.call("calib_write_zone", 2, 10, 0, 0, buffer(limit), 32)
        for _ in range(31):
            wheel.fetch("calib_sign", 64, 0, buffer(MESSAGE))
        wheel.refused("calib_sign", 0, buffer(MESSAGE), buffer(bytes(64)))
        wheel.call("calib_counter_read", 0, byref(value))
        assert value.value == 32
        wheel.fetch("calib_sign", 64, 2, buffer(MESSAGE))
