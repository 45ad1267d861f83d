"""Numbers out of range: C would cut them to another slot, word or length."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest

from atcaprov import Act, Device, UsageError
from tests.support.scripted_hal import ScriptedHal

WORD, BLOCK = bytes(4), bytes(32)

CALLS: dict[str, Callable[[Device, int], object]] = {
    "gen_key": Device.gen_key,
    "get_pubkey": Device.get_pubkey,
    "lock_slot": Device.lock_slot,
    "sign": lambda device, slot: device.sign(slot, BLOCK),
    "read_slot": lambda device, slot: device.read_slot(slot, 0, 1),
    "write_slot_block": lambda device, slot: device.write_slot_block(slot, 0, BLOCK),
    "check_mac slot": lambda device, slot: device.check_mac(slot, 1, BLOCK, bytes(13)),
    "write_secret slot": lambda device, slot: _write_secret(device, slot, 3),
    "write_secret key": lambda device, slot: _write_secret(device, 3, slot),
}
LAST = dict.fromkeys(CALLS, 15)
CALLS |= {
    "read_config_word": Device.read_config_word,
    "write_config": lambda device, word: device.write_config(word, WORD),
    "block of slot 8": lambda device, block: device.write_slot_block(8, block, BLOCK),
    "block of slot 2": lambda device, block: device.write_slot_block(2, block, BLOCK),
    "block of slot 9": lambda device, block: device.write_slot_block(9, block, BLOCK),
    "write_otp_block": lambda device, block: device.write_otp_block(block, BLOCK),
    "lock_config": Device.lock_config,
    "lock_data": Device.lock_data,
    "check_mac mode": lambda device, mode: device.check_mac(0, mode, BLOCK, bytes(13)),
    "update_extra mode": lambda device, mode: device.update_extra(mode, 0),
    "update_extra value": lambda device, value: device.update_extra(0, value),
    "counter": Device.counter,
    "increment_counter": Device.increment_counter,
}
LAST |= {
    "read_config_word": 31,
    "write_config": 31,
    "block of slot 8": 12,
    "block of slot 2": 1,
    "block of slot 9": 2,
    "write_otp_block": 1,
    "lock_config": 0xFFFF,
    "lock_data": 0xFFFF,
    "check_mac mode": 7,
    "update_extra mode": 1,
    "update_extra value": 0xFF,
    "counter": 1,
    "increment_counter": 1,
}


class Silent(Exception):  # noqa: N818 - an answer of the test
    """The packet got as far as the chip."""


@pytest.fixture
def hal() -> ScriptedHal:
    return ScriptedHal()


@pytest.fixture
def device(hal: ScriptedHal) -> Iterator[Device]:
    with Device(hal) as device, device.permit(*Act):
        yield device


def _write_secret(device: Device, slot: int, write_key_slot: int) -> None:
    device.write_secret(slot, BLOCK, write_key=BLOCK, write_key_slot=write_key_slot, num_in=bytes(20))


@pytest.mark.parametrize("name", CALLS)
def test_a_number_out_of_range_is_refused_before_anything_is_sent(name: str, device: Device, hal: ScriptedHal) -> None:
    for wrong in (LAST[name] + 1, -1, 256, 65536 + 2, 2**32 + 1, 2**64, "x", None, 1.5):
        if isinstance(wrong, int) and 0 <= wrong <= LAST[name]:
            continue
        with pytest.raises(UsageError):
            CALLS[name](device, wrong)  # type: ignore[arg-type]
    assert hal.packets == []


@pytest.mark.parametrize("name", CALLS)
def test_the_first_and_the_last_number_reach_the_chip(name: str, device: Device, hal: ScriptedHal) -> None:
    def answer(packet: bytes) -> bytes:
        raise Silent

    hal.answer = answer
    for right in (0, LAST[name]):
        with pytest.raises(Silent):
            CALLS[name](device, right)
    assert len(hal.packets) == 2


@pytest.mark.slow
def test_a_message_is_hashed_whole_or_refused(device: Device, hal: ScriptedHal) -> None:
    longest = bytes(65535)
    assert device.sha256(longest) == hashlib.sha256(longest).digest()
    before = len(hal.packets)
    with pytest.raises(UsageError, match="at most 65535 bytes"):
        device.sha256(bytes(65536 + 3))
    assert len(hal.packets) == before


def test_text_is_refused_as_data(device: Device, hal: ScriptedHal) -> None:
    with pytest.raises(UsageError, match="must be bytes, not str"):
        device.sign(0, "x" * 32)  # type: ignore[arg-type]
    assert hal.packets == []
