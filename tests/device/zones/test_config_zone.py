from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import (
    Act,
    Board,
    Code,
    Device,
    DeviceError,
    Profile,
    Provisioner,
    ProvisioningError,
    Stage,
    StageStatus,
    UsageError,
)
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import crc16
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.locks import is_slot_locked
from atcaprov.config_zone.module_zones import FULL_MODULE
from atcaprov.device.zones.config_zone import (
    config_writes,
    lock_config,
    require_same_config,
    write_config,
)
from atcaprov.emulator.images import load_image
from tests.support.config_zones import published
from tests.support.in_memory_server import InMemory, MemoryCa
from tests.support.scripted_hal import ScriptedHal

zones = st.binary(min_size=128, max_size=128)


@pytest.mark.slow
@given(zones, zones)
def test_the_writes_turn_one_zone_into_the_other(current: bytes, wanted: bytes) -> None:
    zone = bytearray(current)
    written: list[int] = []
    for word, data in config_writes(current, wanted):
        assert len(data) == 4 or (len(data) == 32 and word in (8, 24))
        zone[4 * word : 4 * word + len(data)] = data
        written += range(4 * word, 4 * word + len(data))
    assert len(written) == len(set(written))
    assert zone == current[:16] + wanted[16:84] + current[84:88] + wanted[88:]


@given(zones)
def test_an_equal_zone_needs_no_write(zone: bytes) -> None:
    assert list(config_writes(zone, zone)) == []


@pytest.mark.parametrize(
    ("words", "sizes"),
    [([8], [4]), ([8, 15], [32]), ([31], [4]), ([24, 31], [32]), ([4, 7], [4, 4]), ([16, 20, 21, 23], [4, 4, 4])],
)
def test_a_block_is_written_whole_for_more_than_one_word_where_it_may_be(words: list[int], sizes: list[int]) -> None:
    wanted = bytearray(128)
    for word in words:
        wanted[4 * word + 3] = 1
    assert [len(data) for _, data in config_writes(bytes(128), bytes(wanted))] == sizes


@pytest.mark.parametrize("slot", [0, 7, 8, 15])
def test_locked_slot_is_shown_by_its_bit(slot: int) -> None:
    zone = bytearray(DEFAULT_608A)
    zone[88 + slot // 8] ^= 1 << slot % 8
    assert [number for number in range(16) if is_slot_locked(bytes(zone), number)] == [slot]


def test_a_blank_chip_gets_the_default_and_only_what_differs_is_written() -> None:
    hal = ScriptedHal()
    with Device(hal) as device:
        current = device.read_config()
        hal.packets.clear()
        with device.permit(Act.WRITE_CONFIG):
            written = write_config(device, current, DEFAULT_608A)
    writes = [packet for packet in hal.packets if packet[1] == 0x12]
    assert len(writes) == len(list(config_writes(current, DEFAULT_608A))) <= 8
    assert written[16:84] == DEFAULT_608A[16:84]
    assert written[88:] == DEFAULT_608A[88:]
    assert written[:16] == current[:16]


def test_user_extra_is_set_where_the_file_wants_it() -> None:
    wanted = bytearray(DEFAULT_608A)
    wanted[84] = 0x5A
    with Device.open("emulator:") as device, device.permit(Act.WRITE_CONFIG):
        assert write_config(device, device.read_config(), bytes(wanted))[84] == 0x5A


def test_a_chip_that_keeps_another_byte_is_not_locked() -> None:
    hal = ScriptedHal()

    def forgetful(packet: bytes) -> bytes:
        return bytes.fromhex("04000340") if packet[1] == 0x12 else hal.chip.exchange(packet)

    with Device(hal) as device, device.permit(Act.WRITE_CONFIG):
        hal.answer = forgetful
        with pytest.raises(ProvisioningError) as unverified:
            write_config(device, device.read_config(), DEFAULT_608A)
    assert unverified.value.code == Code.WRITE_NOT_VERIFIED
    assert unverified.value.board == Board.RETRY
    assert "bytes 20," in str(unverified.value)


@pytest.mark.parametrize("offset", [16, 83, 88, 127])
def test_every_byte_that_was_asked_for_is_compared(offset: int) -> None:
    hal = ScriptedHal()
    with Device(hal) as device, device.permit(Act.WRITE_CONFIG):
        current = device.read_config()
        wanted = bytearray(current)
        wanted[offset] ^= 0x01
        hal.answer = lambda packet: bytes.fromhex("04000340") if packet[1] == 0x12 else hal.chip.exchange(packet)
        with pytest.raises(ProvisioningError, match=f"differently at bytes {offset}\\."):
            write_config(device, current, bytes(wanted))


def test_the_lock_carries_the_crc_of_what_was_read_back() -> None:
    hal = ScriptedHal()
    with Device(hal) as device, device.permit(Act.LOCK_CONFIG):
        seen = device.read_config()
        with pytest.raises(DeviceError):
            lock_config(device, seen[:-1] + b"\x55")
        lock_config(device, seen)
        assert device.read_config_word(21)[3] == 0x00
    assert hal.packets[-2][:5] == bytes([7, 0x17, 0x00]) + crc16(seen).to_bytes(2, "little")


def test_the_published_lock_packet() -> None:
    # A zone as read back and its CRC bytes on the wire, from the packet 071700FC0ACE8E of a lock with CRC; algorithm of
    # MicrochipTech/cryptoauthlib lib/calib/calib_command.c, table of Atmel-8970A section 3.5 made safe for a 608.
    zone = bytes.fromhex(
        "0123403800006002d92ca571ee015500c00000008f20c4448720c4448f0f8f8f9f8f8220c444c4440f0f0f0f0f0f0f0f"
        "0f0f0f0fffffffff00000000ffffffff000000000000000000000000000000000000000000005555ffff000000000000"
        "33005c0013005c003c001c001c0033001c001c003c003c003c003c001c003c00"
    )
    assert len(zone) == 128
    assert crc16(zone).to_bytes(2, "little").hex() == "fc0a"


@pytest.mark.parametrize(
    ("zone", "what"),
    [
        (load_image("atecc608a").config, "This chip is locked with the configuration of a new part"),
        (published("cryptoauthtools-608"), "This chip is locked with the configuration of cryptoauthtools"),
        (FULL_MODULE, "This chip is a root or signer module."),
    ],
)
def test_chip_of_another_tool_is_reported_as_such(zone: bytes, what: str) -> None:
    locked = zone[:86] + bytes(2) + zone[88:]
    with pytest.raises(ProvisioningError) as other:
        require_same_config(locked, DEFAULT_608A)
    assert (other.value.code, other.value.board) == (Code.CONFIG_LOCKED_OTHER, Board.SET_ASIDE)
    assert what in other.value.what
    assert "SlotConfig" not in other.value.what


def test_many_differing_fields_are_counted() -> None:
    with pytest.raises(ProvisioningError, match="and 31 more fields differ"):
        require_same_config(bytes(128), DEFAULT_608A)


def test_a_chip_that_came_with_another_locked_configuration_is_set_aside() -> None:
    locked = bytearray(DEFAULT_608A)
    locked[20] ^= 1
    locked[100] ^= 1
    with pytest.raises(ProvisioningError) as other:
        require_same_config(bytes(locked), DEFAULT_608A)
    assert (other.value.code, other.value.board) == (Code.CONFIG_LOCKED_OTHER, Board.SET_ASIDE)
    assert "slot 0 SlotConfig is 0084, not 0085; slot 2 KeyConfig is 0032, not 0033." in str(other.value)
    with pytest.raises(ProvisioningError) as spoiled:
        require_same_config(bytes(locked), DEFAULT_608A, locked_now=True)
    assert spoiled.value.board == Board.SCRAP


@pytest.mark.parametrize("offset", [0, 12, 52, 67, 86, 87, 88, 89])
def test_what_differs_from_chip_to_chip_or_by_its_life_does_not_count(offset: int) -> None:
    locked = bytearray(DEFAULT_608A)
    locked[offset] ^= 0xFF
    require_same_config(bytes(locked), DEFAULT_608A)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"config_zone": DEFAULT_608A[:-1]}, "has 128 bytes, not 127"),
        ({"device_key_slot": 16}, "Slot 16 does not exist"),
        ({"certificate_slots": frozenset({10, -1})}, "Slot -1 does not exist"),
        ({"slots_to_lock": (16,)}, "Slot 16 does not exist"),
    ],
)
def test_impossible_profile_is_refused(wanted: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        Profile(**wanted)


def with_extras(user_extra: int, user_extra_add: int) -> bytes:
    return DEFAULT_608A[:84] + bytes((user_extra, user_extra_add)) + DEFAULT_608A[86:]


@pytest.mark.parametrize("offset", [84, 85])
@pytest.mark.parametrize("wanted", [0x00, 0x5A])
def test_a_byte_that_can_be_set_only_once_is_compared_before_anything_is_written(offset: int, wanted: int) -> None:
    authority, hal = MemoryCa(), ScriptedHal()
    with Device(hal) as device:
        with device.permit(Act.WRITE_CONFIG):
            device.update_extra(offset - 84, 0x77)
        hal.packets.clear()
        profile = Profile(config_zone=with_extras(*(wanted if byte == offset else 0 for byte in (84, 85))))
        with pytest.raises(ProvisioningError) as refused:
            Provisioner(profile, authority.cert_info, InMemory(authority)).provision(device)
    assert (refused.value.code, refused.value.board) == (Code.USER_EXTRA_SET, Board.SCRAP)
    assert f"Byte {offset} " in str(refused.value)
    assert "is 77" in str(refused.value)
    assert {packet[1] for packet in hal.packets} == {Opcode.READ, Opcode.INFO}


def test_byte_that_is_already_set_is_not_written() -> None:
    authority = MemoryCa()
    with Device.open("emulator:") as device:
        with device.permit(Act.WRITE_CONFIG):
            device.update_extra(0, 0x77)
        profile = Profile(config_zone=with_extras(0x77, 0))
        Provisioner(profile, authority.cert_info, InMemory(authority)).provision(device)
        assert device.read_config()[84] == 0x77


@pytest.mark.slow
@pytest.mark.parametrize("finished", [False, True])
def test_byte_still_open_in_a_locked_zone_is_set(finished: bool) -> None:
    """UpdateExtra works in every lock state, as long as the byte is 00 (DS20005927A, UpdateExtra command)."""
    authority = MemoryCa()
    with Device.open("emulator:") as device:
        if finished:
            Provisioner(Profile(), authority.cert_info, InMemory(authority)).provision(device)
        else:
            with device.permit(Act.WRITE_CONFIG, Act.LOCK_CONFIG):
                lock_config(device, write_config(device, device.read_config(), DEFAULT_608A))
        functions = InMemory(authority)
        Provisioner(Profile(config_zone=with_extras(0x77, 0)), authority.cert_info, functions).provision(device)
        assert device.read_config()[84:88] == bytes.fromhex("77000000")
    assert functions.notices[:2] == [(Stage.CONFIG_WRITE, StageStatus.START), (Stage.CONFIG_WRITE, StageStatus.DONE)]
