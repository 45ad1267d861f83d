"""A plan of faults: what the host sees, and what the memory holds afterwards."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.chip.commands import WAKE_TOKEN, Opcode
from atcaprov.chip.crc import crc16
from atcaprov.emulator.chip import Chip, Power
from atcaprov.emulator.counters import read_counter
from atcaprov.emulator.faults import Fault, FaultKind, FaultPlan
from atcaprov.emulator.random_source import SeededRandom
from tests.support.chips import configured_memory, packet, reply_body

INFO = packet(Opcode.INFO)
GOOD = bytes.fromhex("07000060028038")


def chip_with(*faults: Fault, seed: bytes = b"") -> Chip:
    memory = configured_memory(slots={9: (0x2F8F, 0x003C)}, content={9: bytes(32)})
    chip = Chip(memory, random_source=SeededRandom(seed), faults=FaultPlan(list(faults)))
    chip.wake()
    return chip


class TestOnTheWire:
    def test_no_acknowledge_hides_the_packet(self) -> None:
        chip = chip_with(Fault(FaultKind.NO_ACKNOWLEDGE, command=1))
        lock = packet(Opcode.LOCK, 0x02 | 9 << 2)
        assert chip.exchange(lock) == b""
        assert chip.memory.slot_unlocked(9)
        assert reply_body(chip.exchange(lock)) == b"\x00"

    @pytest.mark.parametrize("bit", range(8 * len(GOOD)))
    def test_one_bit_flips(self, bit: int) -> None:
        reply = chip_with(Fault(FaultKind.BIT_FLIP, bit=bit)).exchange(INFO)
        difference = int.from_bytes(reply, "little") ^ int.from_bytes(GOOD, "little")
        assert difference == 1 << bit

    def test_replies_are_cut_or_too_long(self) -> None:
        assert chip_with(Fault(FaultKind.TRUNCATED, size=3)).exchange(INFO) == GOOD[:3]
        assert chip_with(Fault(FaultKind.OVERSIZED, size=200)).exchange(INFO) == GOOD + b"\xff" * 200

    @pytest.mark.parametrize(
        ("kind", "status"), [(FaultKind.ECC_FAULT, 0x05), (FaultKind.HEALTH_TEST, 0x08), (FaultKind.CRC_ERROR, 0xFF)]
    )
    def test_a_status_comes_in_place_of_the_command(self, kind: FaultKind, status: int) -> None:
        chip = chip_with(Fault(kind, opcode=Opcode.GEN_KEY, times=2))
        before = chip.memory.image()
        create = packet(Opcode.GEN_KEY, 4, 0)
        for _ in range(2):
            assert chip.exchange(INFO) == GOOD
            assert reply_body(chip.exchange(create)) == bytes((status,))
            assert chip.memory.image() == before
        assert len(reply_body(chip.exchange(create))) == 64

    def test_a_stuck_chip_needs_its_power_taken_away(self) -> None:
        chip = chip_with(Fault(FaultKind.STUCK))
        assert chip.exchange(INFO) == b""
        assert chip.exchange(INFO) == b""
        assert chip.wake() == b""
        chip.power_cycle()
        chip.wake()
        assert chip.exchange(INFO) == GOOD

    def test_the_watchdog_writes_nothing(self) -> None:
        chip = chip_with(Fault(FaultKind.WATCHDOG))
        before = chip.memory.image()
        assert chip.exchange(packet(Opcode.GEN_KEY, 4, 0)) == b""
        assert chip.power is Power.ASLEEP
        assert chip.memory.image() == before

    def test_p1_and_number_choose_the_packet(self) -> None:
        chip = chip_with(
            Fault(FaultKind.NO_ACKNOWLEDGE, opcode=Opcode.INFO, p1=2), Fault(FaultKind.TRUNCATED, command=3)
        )
        assert chip.exchange(INFO) == GOOD
        assert chip.exchange(packet(Opcode.INFO, 2)) == b""
        assert chip.exchange(INFO) == GOOD[:1]
        assert chip.exchange(packet(Opcode.INFO, 2)) != b""
        assert chip.exchange(b"") != b""


class TestPowerCuts:
    WRITE = packet(Opcode.WRITE, 0x82, 10 << 3, b"n" * 32)

    def cut(self, kind: FaultKind, request: bytes, seed: bytes = b"") -> Chip:
        chip = chip_with(Fault(kind, opcode=request[1]), seed=seed)
        if request[1] == Opcode.DERIVE_KEY:
            chip.exchange(packet(Opcode.NONCE, 0, 0, bytes(20)))
        assert chip.exchange(request) == b""
        assert not chip.core.temp_key.valid
        chip.wake()
        assert chip.exchange(INFO) == GOOD
        return chip

    def test_before_and_after_the_write(self) -> None:
        assert self.cut(FaultKind.POWER_BEFORE, self.WRITE).memory.read_slot(10, 0, 32) == b"\xff" * 32
        assert self.cut(FaultKind.POWER_AFTER, self.WRITE).memory.read_slot(10, 0, 32) == b"n" * 32

    def test_in_the_write_leaves_old_or_new_bytes(self) -> None:
        seen = {self.cut(FaultKind.POWER_IN, self.WRITE, bytes((n,))).memory.read_slot(10, 0, 32) for n in range(20)}
        assert seen == {b"\xff" * 32, b"n" * 32}

    def test_brown_out_answers_with_the_reply_to_a_wake(self) -> None:
        seen = set()
        for seed in range(20):
            chip = chip_with(Fault(FaultKind.BROWN_OUT, opcode=Opcode.WRITE), seed=bytes((seed,)))
            assert chip.exchange(self.WRITE) == WAKE_TOKEN
            assert chip.exchange(INFO) == GOOD, "it is awake"
            seen.add(chip.memory.read_slot(10, 0, 32))
        assert seen == {b"\xff" * 32, b"n" * 32}

    def test_in_a_lock_leaves_it_set_or_not(self) -> None:
        request = packet(Opcode.LOCK, 0x02 | 10 << 2)
        seen = {self.cut(FaultKind.POWER_IN, request, bytes((n,))).memory.slot_unlocked(10) for n in range(20)}
        assert seen == {True, False}

    def test_in_a_new_key_leaves_none(self) -> None:
        chip = self.cut(FaultKind.POWER_IN, packet(Opcode.GEN_KEY, 4, 0))
        assert chip.core.slot(0).private_key() is None

    def test_in_a_rolled_key_leaves_an_unknown_one(self) -> None:
        request = packet(Opcode.DERIVE_KEY, 0, 9)
        old = bytes(32)
        rolled = self.cut(FaultKind.POWER_AFTER, request).memory.read_slot(9, 0, 32)
        unknown = self.cut(FaultKind.POWER_IN, request).memory.read_slot(9, 0, 32)
        assert len({old, rolled, unknown}) == 3

    def test_in_a_count_loses_none(self) -> None:
        request = packet(Opcode.COUNTER, 1, 1)
        seen = {read_counter(self.cut(FaultKind.POWER_IN, request, bytes((n,))).memory, 1) for n in range(20)}
        assert seen == {1, 2}
        assert read_counter(self.cut(FaultKind.POWER_BEFORE, request).memory, 1) == 0
        refused = packet(Opcode.COUNTER, 1, 2)
        assert read_counter(self.cut(FaultKind.POWER_IN, refused).memory, 1) == 0


class TestPlanFile:
    def test_a_plan(self) -> None:
        plan = FaultPlan.from_toml(
            """
            [[fault]]
            kind = "bit-flip"
            command = 5
            bit = 17
            [[fault]]
            kind = "ecc-fault"
            opcode = "GenKey"
            p1 = 4
            times = 3
            [[fault]]
            kind = "truncated"
            opcode = 0x30
            size = 2
            """
        )
        assert plan.faults == [
            Fault(FaultKind.BIT_FLIP, command=5, bit=17),
            Fault(FaultKind.ECC_FAULT, opcode=Opcode.GEN_KEY, p1=4, times=3),
            Fault(FaultKind.TRUNCATED, opcode=0x30, size=2),
        ]

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "x",
            "fault = 1",
            "fault = []",
            "fault = [1]",
            "[[fault]]",
            '[[fault]]\nkind = "explode"',
            '[[fault]]\nkind = ["stuck"]',
            '[[fault]]\nkind = "stuck"\ncommand = 0',
            '[[fault]]\nkind = "stuck"\ncommand = true',
            '[[fault]]\nkind = "stuck"\nwhen = 1',
            '[[fault]]\nkind = "stuck"\nopcode = "Dance"',
            '[[fault]]\nkind = "stuck"\nopcode = 256',
            '[[fault]]\nkind = "stuck"\n[other]',
        ],
    )
    def test_invalid_fault_plan_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError) as caught:
            FaultPlan.from_toml(text)
        assert caught.value.code == Code.FILE_INVALID

    @given(st.text(max_size=60))
    def test_garbage_is_refused(self, text: str) -> None:
        with pytest.raises(UsageError):
            FaultPlan.from_toml(text)


def test_a_flipped_reply_is_noticed_by_its_crc() -> None:
    for bit in range(8, 40):
        reply = chip_with(Fault(FaultKind.BIT_FLIP, bit=bit)).exchange(INFO)
        assert crc16(reply[:-2]) != int.from_bytes(reply[-2:], "little")
