"""What is read of a chip: all that it shows, by as few commands as possible, and no command that changes it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atcaprov import Code, Device, SoftwareChip, TransportError
from atcaprov.chip.commands import Opcode
from atcaprov.device.read_only import ReadOnlyHal
from atcaprov.emulator.images import load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.hal.emulated import EmulatedHal
from atcaprov.inspection.snapshot import ChipSnapshot, read_identity, read_snapshot
from tests.support.chips import configured_memory

SECRET, CLEAR, PRIVATE = (0x8F8F, 0x001C), (0x0F0F, 0x003C), (0x2083, 0x0033)


class Counted(EmulatedHal):
    """Counts the packets, and can put another chip into the fixture after some of them."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(SoftwareChip(memory, random_source=SeededRandom(b"key")), "emulator:")
        self.opcodes: list[int] = []
        self.change_after = 10_000

    def exchange(self, packet: bytes) -> bytes:
        self.opcodes.append(packet[1])
        if len(self.opcodes) == self.change_after:
            self.chip.memory.config[0:4] = b"next"
        return super().exchange(packet)


def read(memory: Memory) -> tuple[ChipSnapshot, list[int]]:
    hal = Counted(memory)
    with Device(ReadOnlyHal(hal)) as device:
        snapshot = read_snapshot(device)
    assert snapshot.config == bytes(memory.config)
    return snapshot, hal.opcodes


def test_identity_takes_five_commands() -> None:
    hal = Counted(load_image("atecc608a").make(SeededRandom(b"part")))
    with Device(ReadOnlyHal(hal)) as device:
        identity = read_identity(device)
    assert hal.opcodes == [Opcode.INFO] + [Opcode.READ] * 4
    assert identity.revision == bytes.fromhex("00006002")
    assert identity.serial_number[-1] == 0xEE


def test_a_blank_chip_is_asked_for_nothing_that_it_must_refuse() -> None:
    snapshot, opcodes = read(load_image("atecc608a").make(SeededRandom(b"part")))
    assert opcodes == [Opcode.INFO] + [Opcode.READ] * 5
    assert (snapshot.otp, snapshot.slots, snapshot.keys, snapshot.public_keys) == (None, {}, {}, {})


def test_before_the_data_lock_only_keys_are_asked_for() -> None:
    memory = configured_memory(slots={0: PRIVATE, 1: PRIVATE}, content={0: bytes(35) + b"\7"}, data_locked=False)
    snapshot, opcodes = read(memory)
    assert snapshot.otp is None
    assert snapshot.slots == {}
    assert snapshot.keys == {0: True, 1: False, 2: False}
    assert list(snapshot.public_keys) == [0]
    assert opcodes.count(Opcode.GEN_KEY) == 1


def test_a_locked_chip_shows_its_clear_slots_whole_and_its_public_keys() -> None:
    slots = {0: PRIVATE, 1: (0x2083, 0x0031), 2: (0x2083, 0x00B3), 3: SECRET, 4: CLEAR, 8: CLEAR, 9: (0x0F4F, 0x3C)}
    content = {number: bytes(35) + bytes([number + 1]) for number in (0, 1, 2)} | {8: bytes(range(208)) * 2}
    memory = configured_memory(slots=slots, content=content, otp=bytes(range(64)))
    snapshot, _ = read(memory)
    assert snapshot.otp == bytes(range(64))
    assert sorted(snapshot.slots) == [4, 8, 10, 11, 12, 13, 14]  # 3 is secret, 9 illegal, 15 secret
    assert {number: len(content) for number, content in snapshot.slots.items() if number < 11} == {
        4: 36,
        8: 416,
        10: 72,
    }
    assert snapshot.slots[8] == bytes(range(208)) * 2
    assert snapshot.keys == {0: True, 1: True, 2: True}
    assert list(snapshot.public_keys) == [0]  # that of 1 is hidden, that of 2 needs an authorization


def test_only_the_slots_that_are_asked_for_are_read() -> None:
    with Device(Counted(configured_memory())) as device:
        assert sorted(read_snapshot(device, slots={8, 9, 15}).slots) == [8, 9]


def test_a_slot_that_is_refused_all_the_same_leaves_a_gap() -> None:
    class Stubborn(Counted):
        def exchange(self, packet: bytes) -> bytes:
            is_slot_9 = packet[1] == Opcode.READ and packet[2] & 3 == 2 and packet[3] >> 3 == 9
            return bytes.fromhex("040f2342") if is_slot_9 else super().exchange(packet)

    with Device(Stubborn(configured_memory())) as device:
        snapshot = read_snapshot(device)
    assert sorted(snapshot.slots) == [8, 10, 11, 12, 13, 14]


def test_a_board_that_is_changed_while_it_is_read_is_noticed() -> None:
    hal = Counted(configured_memory())
    hal.change_after = 20
    with Device(hal) as device, pytest.raises(TransportError, match="Another chip") as noticed:
        read_snapshot(device)
    assert noticed.value.code == Code.DEVICE_NOT_FOUND


def test_a_snapshot_is_a_value() -> None:
    snapshot = ChipSnapshot("emulator:", bytes(4), bytes(128))
    assert replace(snapshot, url="x") != snapshot
    assert snapshot == ChipSnapshot("emulator:", bytes(4), bytes(128))
