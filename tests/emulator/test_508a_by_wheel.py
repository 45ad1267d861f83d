"""The stock library as the driver of an ATECC508A that it takes from blank to locked, with the vendor's published test
configuration (config-zones.json, cal-reference-508): what this part alone does. What it shares with the ATECC608 is in
test_commands_by_wheel.py.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterator
from ctypes import byref, c_uint32
from hashlib import sha256
from typing import Final

import pytest

from atcaprov.chip.memory_map import LOCK_CONFIG, LOCK_VALUE, UNLOCKED
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SystemRandom
from tests.emulator.test_commands_by_wheel import (
    KEY_4,
    MESSAGE,
    NUM_IN,
    ZONES,
    host_key,
    shared,
)
from tests.support.stock_cryptoauthlib import PARSE_ERROR, Wheel, buffer, driven, flag

REFERENCE: Final = next(bytes.fromhex(z["bytes_16_127"]) for z in ZONES if z["id"] == "cal-reference-508")


@pytest.fixture
def chip() -> Chip:
    """A chip that the library takes from blank to locked, with keys in 0, 2 and 7, and the parent key in slot 4."""
    chip = Chip(load_image("atecc508a").make(SystemRandom()))
    with driven(chip) as wheel:
        wheel.call("calib_write_config_zone", buffer(bytes(16) + REFERENCE))
        wheel.call("calib_lock_config_zone")
        for slot in (0, 2, 7):
            wheel.fetch("calib_genkey", 64, slot)
        for slot in (4, 6):
            wheel.call("calib_write_zone", 2, slot, 0, 0, buffer(KEY_4), 32)
        wheel.call("calib_lock_data_zone")
    chip.sleep()
    return chip


@pytest.fixture
def wheel(chip: Chip) -> Iterator[Wheel]:
    with driven(chip) as wheel:
        yield wheel


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 127, 128, 200])
def test_sha_256_of_any_length(wheel: Wheel, size: int) -> None:
    """The library ends with 0 to 63 bytes on this part (DS20005927A, 9.17)."""
    message = os.urandom(size)
    assert wheel.fetch("calib_sha", 32, size, buffer(message)) == sha256(message).digest()


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 200])
def test_hmac_by_sha(wheel: Wheel, size: int) -> None:
    message = os.urandom(size)
    out = buffer(bytes(32))
    wheel.call("calib_sha_hmac", buffer(message), size, 4, out, 0)
    assert bytes(out) == hmac.digest(KEY_4, message, "sha256")


@pytest.mark.parametrize("mode", [0x00, 0x02, 0x40, 0x42])
def test_hmac_in_the_modes_of_the_vendors_test(wheel: Wheel, mode: int) -> None:
    rand_out = wheel.fetch("calib_nonce_rand", 32, buffer(NUM_IN))
    temp_key = sha256(rand_out + NUM_IN + bytes.fromhex("160000")).digest()
    sn = wheel.chip.memory.serial
    full = sn[4:8], sn[2:4]
    middle, end = full if mode & 0x40 else (bytes(4), bytes(2))
    message = bytes(32) + temp_key + bytes((0x11, mode, 4, 0)) + bytes(11) + sn[8:] + middle + sn[:2] + end
    assert wheel.fetch("calib_hmac", 32, mode, 4) == hmac.digest(KEY_4, message, "sha256")


@pytest.mark.parametrize("mode", [0x10, 0x20, 0x30])
def test_hmac_has_no_fields_of_otp(wheel: Wheel, mode: int) -> None:
    """The vendor's test hmac leaves these modes out on the ATECC508A."""
    wheel.fetch("calib_nonce_rand", 32, buffer(NUM_IN))
    wheel.refused("calib_hmac", mode, 4, buffer(bytes(32)), status=PARSE_ERROR)


def test_a_private_key_from_outside_signs(wheel: Wheel) -> None:
    key, xy = host_key()
    scalar = bytes(4) + key.private_numbers().private_value.to_bytes(32)
    wheel.call("calib_priv_write", 7, buffer(scalar), 4, buffer(KEY_4), buffer(NUM_IN))
    assert wheel.fetch("calib_get_pubkey", 64, 7) == xy
    signature = wheel.fetch("calib_sign", 64, 7, buffer(MESSAGE))
    result = flag()
    wheel.call("calib_verify_extern", buffer(MESSAGE), buffer(signature), buffer(xy), byref(result))
    assert result.value


def test_ecdh_in_clear_and_into_the_partner_slot(wheel: Wheel, chip: Chip) -> None:
    key, xy = host_key()
    ours = wheel.fetch("calib_get_pubkey", 64, 2)
    assert wheel.fetch("calib_ecdh", 32, 2, buffer(xy)) == shared(key, ours)
    wheel.call("calib_ecdh_base", 0, 0, buffer(xy), None, None)
    assert chip.memory.read_slot(1, 0, 32) == shared(key, wheel.fetch("calib_get_pubkey", 64, 0))


def test_counters_and_extra_bytes(wheel: Wheel) -> None:
    value = c_uint32()
    for expected in range(1, 40):
        wheel.call("calib_counter_increment", 1, byref(value))
        assert value.value == expected
    wheel.call("calib_updateextra", 0, 5)
    wheel.refused("calib_updateextra", 0, 6)
    wheel.call("calib_updateextra", 2, 4)  # a use of a key without a limit
    for selector in (1, 2):
        wheel.call("calib_updateextra", 1, selector)


def test_a_chip_made_by_the_library_is_locked(chip: Chip) -> None:
    assert UNLOCKED not in (chip.memory.config[LOCK_CONFIG], chip.memory.config[LOCK_VALUE])
    assert bytes(chip.memory.config[16:84]) == REFERENCE[:68]
