"""Nothing that changes a chip leaves without its permit."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from atcaprov import Act, Code, Device, UsageError
from atcaprov.chip.commands import TEMP_KEY_SLOT, Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.device.command_guard import act_of
from tests.support.scripted_hal import ScriptedHal

CHANGES: dict[str, tuple[Act, Callable[[Device], object]]] = {
    "write_config": (Act.WRITE_CONFIG, lambda device: device.write_config(5, bytes(4))),
    "update_extra": (Act.WRITE_CONFIG, lambda device: device.update_extra(0, 1)),
    "write_slot_block": (Act.WRITE_DATA, lambda device: device.write_slot_block(8, 0, bytes(32))),
    "write_otp_block": (Act.WRITE_DATA, lambda device: device.write_otp_block(0, bytes(32))),
    "gen_key": (Act.CREATE_KEY, lambda device: device.gen_key(0)),
    "increment_counter": (Act.ADVANCE_COUNTER, lambda device: device.increment_counter(1)),
    "lock_config": (Act.LOCK_CONFIG, lambda device: device.lock_config(0)),
    "lock_data": (Act.LOCK_DATA, lambda device: device.lock_data(0)),
    "lock_slot": (Act.LOCK_SLOT, lambda device: device.lock_slot(8)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_device_without_the_permit_sends_nothing(name: str) -> None:
    act, change = CHANGES[name]
    hal = ScriptedHal()
    with Device(hal) as device, device.permit(*(other for other in Act if other is not act)):
        with pytest.raises(UsageError) as held_back:
            change(device)
        assert held_back.value.code == Code.READ_ONLY
    assert hal.packets == []


def _agreeing(packet: bytes) -> bytes:
    answers = {Opcode.GEN_KEY: bytes([67, *range(64)]), Opcode.COUNTER: bytes([7, 1, 0, 0, 0])}
    return with_crc(answers.get(Opcode(packet[1]), b"\x04\x00"))


@pytest.mark.parametrize("name", CHANGES)
def test_with_the_permit_the_command_reaches_the_chip(name: str) -> None:
    act, change = CHANGES[name]
    hal = ScriptedHal()
    hal.answer = _agreeing
    with Device(hal) as device, device.permit(act):
        change(device)
    assert [act_of(packet) for packet in hal.packets] == [act]


def test_a_permit_ends_with_its_block() -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        with device.permit(Act.WRITE_CONFIG):
            device.write_config(5, bytes(4))
        with pytest.raises(UsageError):
            device.write_config(5, bytes(4))
    assert len(hal.packets) == 1


def test_reading_everything_changes_nothing() -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        before = device.read_config()
        device.info()
        device.serial_number()
        device.random()
        device.sha256(b"abc")
        device.verify_extern(bytes(32), bytes(64), bytes.fromhex(GENERATOR))
        assert device.read_config() == before
    assert all(act_of(packet) is None for packet in hal.packets)


GENERATOR = (
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)


def _packet(opcode: int, mode: int, parameter: int = 0, data: bytes = b"") -> bytes:
    return with_crc(bytes([7 + len(data), opcode, mode]) + parameter.to_bytes(2, "little") + data)


@pytest.mark.parametrize(
    ("packet", "act"),
    [
        (_packet(Opcode.LOCK, 0x00), Act.LOCK_CONFIG),
        (_packet(Opcode.LOCK, 0x01), Act.LOCK_DATA),
        (_packet(Opcode.LOCK, 0x80), Act.LOCK_UNSEEN),
        (_packet(Opcode.LOCK, 0x81), Act.LOCK_UNSEEN),
        (_packet(Opcode.LOCK, 0x2A), Act.LOCK_SLOT),
        (_packet(Opcode.LOCK, 0x03), Act.OTHER),
        (_packet(Opcode.GEN_KEY, 0x04), Act.CREATE_KEY),
        (_packet(Opcode.GEN_KEY, 0x0C), Act.CREATE_KEY),
        (_packet(Opcode.GEN_KEY, 0x00), None),
        (_packet(Opcode.GEN_KEY, 0x04, TEMP_KEY_SLOT), None),
        (_packet(Opcode.ECDH, 0x0D, TEMP_KEY_SLOT, bytes(64)), None),
        (_packet(Opcode.ECDH, 0x09, TEMP_KEY_SLOT, bytes(64)), None),
        (_packet(Opcode.ECDH, 0x05, 4, bytes(64)), Act.OTHER),
        (_packet(Opcode.ECDH, 0x00, 4, bytes(64)), Act.OTHER),  # ReadKey may send the result into a slot
        (_packet(Opcode.ECDH, 0x0C, 4, bytes(64)), Act.OTHER),  # may be refused, may count as a use
        (_packet(Opcode.KDF, 0x50, 0, bytes(36)), None),
        (_packet(Opcode.KDF, 0x48, 0x0400, bytes(36)), Act.OTHER),
        (_packet(Opcode.KDF, 0x52, 4, bytes(36)), Act.OTHER),
        (_packet(Opcode.INFO, 0x04, 0x00), None),
        (_packet(Opcode.INFO, 0x04, 0x01), None),
        (_packet(Opcode.INFO, 0x04, 0x02), Act.OTHER),
        (_packet(Opcode.INFO, 0x01, 0x02), None),  # tells whether the key in slot 2 is valid
        (_packet(Opcode.INFO, 0x04, 0x03), Act.OTHER),
        (_packet(Opcode.COUNTER, 0x00), None),
        (_packet(Opcode.COUNTER, 0x01), Act.ADVANCE_COUNTER),
        (_packet(Opcode.VERIFY, 0x00), None),
        (_packet(Opcode.VERIFY, 0x01), Act.OTHER),
        (_packet(Opcode.VERIFY, 0x02), None),
        (_packet(Opcode.VERIFY, 0x03), Act.OTHER),
        (_packet(Opcode.VERIFY, 0x07), Act.OTHER),
        (_packet(Opcode.WRITE, 0xC2, 0, bytes(64)), Act.WRITE_SECRET),
        (_packet(Opcode.WRITE, 0x82, 0, bytes(32)), Act.WRITE_DATA),
        (_packet(Opcode.PRIV_WRITE, 0x00), Act.WRITE_PRIVATE_KEY),
        (_packet(Opcode.PRIV_WRITE, 0x40), Act.WRITE_PRIVATE_KEY),
        (_packet(Opcode.DERIVE_KEY, 0x00), Act.OTHER),
        (_packet(Opcode.SECURE_BOOT, 0x07), Act.OTHER),
        (_packet(0x13, 0x00), Act.OTHER),  # Delete of newer parts: unknown commands are not harmless
    ],
)
def test_every_way_to_change_a_chip_has_its_act(packet: bytes, act: Act | None) -> None:
    assert act_of(packet) is act


def test_permit_belongs_to_its_thread() -> None:
    hal = ScriptedHal()
    with Device(hal) as device, ThreadPoolExecutor(1) as other:
        first = device.permit(Act.LOCK_CONFIG)
        first.__enter__()
        second = device.permit(Act.WRITE_CONFIG)
        other.submit(second.__enter__).result()
        with pytest.raises(UsageError):
            other.submit(device.lock_config, 0).result()
        first.__exit__(None, None, None)
        other.submit(second.__exit__, None, None, None).result()
        with pytest.raises(UsageError):
            device.lock_config(0)
        with pytest.raises(UsageError):
            other.submit(device.lock_config, 0).result()
    assert hal.packets == []
