"""Random commands on random configurations never break what must always hold."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.emulator.chip import Chip, Power
from atcaprov.emulator.counters import read_counter
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom
from tests.support.chips import SERIAL, packet, reply_body

pytestmark = pytest.mark.slow

SLOT = st.integers(0, SLOT_COUNT - 1)
KEY_ID = st.one_of(SLOT, st.integers(0, 0x7FFF), st.sampled_from([0x8000, 0xFFFF]))
BLOCK = st.binary(min_size=32, max_size=32)
MODE = st.integers(0, 255)
LENGTHS = {
    Opcode.AES: [16, 32],
    Opcode.CHECK_MAC: [77],
    Opcode.COUNTER: [0],
    Opcode.DERIVE_KEY: [0, 32],
    Opcode.ECDH: [64],
    Opcode.GEN_DIG: [0, 4, 32],
    Opcode.GEN_KEY: [0, 3],
    Opcode.HMAC: [0],
    Opcode.INFO: [0, 4],
    Opcode.KDF: [20, 36, 52],
    Opcode.MAC: [0, 32],
    Opcode.NONCE: [20, 32, 64],
    Opcode.PRIV_WRITE: [68],
    Opcode.RANDOM: [0],
    Opcode.SECURE_BOOT: [32, 96],
    Opcode.SELF_TEST: [0],
    Opcode.SHA: [0, 5, 36, 64],
    Opcode.SIGN: [0],
    Opcode.UPDATE_EXTRA: [0],
    Opcode.VERIFY: [64, 83, 128],
}


class LifeOfAChip(RuleBasedStateMachine):
    """Each step is one command or one change of power; the invariants look at the memory and at the replies."""

    IMAGE = "atecc608a"
    MOVABLE = frozenset({*range(52, 68), 84, 85, 86, 88, 89})
    """Bytes of the locked configuration zone that commands change: counters, extra bytes, later locks."""

    def __init__(self) -> None:
        super().__init__()
        self.chip = Chip(load_image(self.IMAGE).make(SeededRandom(b"life"), SERIAL), random_source=SeededRandom(b""))
        self.replies: list[bytes] = []
        self.before = self.chip.memory.image()
        self.command = 0

    def send(self, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bytes:
        if self.chip.power is not Power.AWAKE:
            self.chip.wake()
        self.before = self.chip.memory.image()
        self.command = opcode
        reply = self.chip.exchange(packet(opcode, p1, p2, data))
        body = reply_body(reply) if reply else b""
        self.replies.append(body)
        return body

    @initialize(
        slot_configs=st.lists(st.integers(0, 0xFFFF), min_size=16, max_size=16),
        key_configs=st.lists(
            st.sampled_from([0x33, 0x13, 0x30, 0x32, 0x1C, 0x3C, 0x38, 0x3A, 0x5C, 0xFC, 0x04B3]),
            min_size=16,
            max_size=16,
        ),
        options=st.sampled_from([b"\0\0", b"\x0e\x40", b"\x06\x00", b"\x0e\x45"]),
        lock_data=st.booleans(),
    )
    def configure(self, slot_configs: list[int], key_configs: list[int], options: bytes, lock_data: bool) -> None:
        config = self.chip.memory.config
        config[20:52] = b"".join(word.to_bytes(2, "little") for word in slot_configs)
        config[96:128] = b"".join(word.to_bytes(2, "little") for word in key_configs)
        config[90:92] = options if self.IMAGE == "atecc608a" else bytes(2)
        self.send(Opcode.LOCK, 0, crc16(bytes(config)))
        for slot in range(3):
            self.send(Opcode.GEN_KEY, 4, slot)
        if lock_data:
            self.send(Opcode.LOCK, 0x81)

    @rule(opcode=st.sampled_from(list(LENGTHS)), p1=MODE, p2=KEY_ID, data=st.data())
    def command_of_any_kind(self, opcode: Opcode, p1: int, p2: int, data: Any) -> None:
        size = data.draw(st.sampled_from(LENGTHS[opcode]))
        self.send(opcode, p1, p2, data.draw(st.binary(min_size=size, max_size=size)))

    @rule(p1=st.sampled_from([0, 0x80, 1, 0x81, 2, 0x82]), block=st.integers(0, 3), word=st.integers(0, 7), slot=SLOT)
    def read(self, p1: int, block: int, word: int, slot: int) -> None:
        self.send(Opcode.READ, p1, block << 8 | slot << 3 | word if p1 & 3 == 2 else block << 3 | word)

    @rule(p1=st.sampled_from([0x80, 0x81, 0x82, 0xC2, 2]), block=st.integers(0, 3), slot=SLOT, content=BLOCK)
    def write(self, p1: int, block: int, slot: int, content: bytes) -> None:
        p2 = block << 8 | slot << 3 if p1 & 3 == 2 else block << 3
        self.send(Opcode.WRITE, p1, p2, content * 2 if p1 & 0x40 else content if p1 & 0x80 else content[:4])

    @rule(slot=SLOT)
    def lock_slot(self, slot: int) -> None:
        self.send(Opcode.LOCK, 2 | slot << 2)

    @rule(p1=st.sampled_from([0, 1, 0x80, 0x81]), crc=st.integers(0, 0xFFFF))
    def lock_zone(self, p1: int, crc: int) -> None:
        self.send(Opcode.LOCK, p1, crc)

    @rule(slot=SLOT, key=SLOT, block=st.integers(0, 2))
    def encrypted_read(self, slot: int, key: int, block: int) -> None:
        self.send(Opcode.NONCE, 0, 0, bytes(20))
        self.send(Opcode.GEN_DIG, 2, key, b"\x15\x02" + bytes((key, 0)))
        self.send(Opcode.READ, 0x82, block << 8 | slot << 3)

    @rule(slot=SLOT)
    def prove_a_key(self, slot: int) -> None:
        self.send(Opcode.NONCE, 0, 0, bytes(20))
        sn = self.chip.memory.serial
        key, nonce = self.chip.memory.read_slot(slot, 0, 32), self.chip.core.temp_key.key
        message = key + nonce + bytes(15) + sn[8:] + bytes(4) + sn[:2] + bytes(2)
        self.send(Opcode.CHECK_MAC, 1, slot, bytes(32) + sha256(message).digest() + bytes(13))

    @rule(slot=SLOT)
    def use_a_key_that_asks_for_another(self, slot: int) -> None:
        asking = self.chip.core.slot(slot)
        if not asking.req_auth or not self.chip.memory.data_locked:
            return
        before = self.chip.core.volatile.authorized
        self.send(Opcode.NONCE, 0x43, 0, bytes(32))
        granted = len(self.send(Opcode.SIGN, 0xA0, slot)) == 64 or len(self.send(Opcode.MAC, 0, slot, bytes(32))) == 32
        assert not granted or before == asking.auth_key
        assert self.chip.core.volatile.authorized is None

    @rule()
    def sleep(self) -> None:
        self.chip.sleep()

    @rule()
    def idle(self) -> None:
        self.chip.idle()

    @rule()
    def cut_power(self) -> None:
        self.chip.power_cycle()

    # What must always hold

    def private_keys(self) -> list[bytes]:
        keys = (self.chip.core.slot(number) for number in range(SLOT_COUNT))
        return [scalar for slot in keys if slot.private and (scalar := slot.private_key()) is not None]

    @precondition(lambda self: self.replies)
    @invariant()
    def no_reply_holds_a_private_key(self) -> None:
        for scalar in self.private_keys():
            assert scalar not in self.replies[-1]
            assert scalar[:16] not in self.replies[-1]

    @invariant()
    def what_is_locked_stays(self) -> None:
        old, new = self.before, self.chip.memory.image()
        if old[0][87] != 0x55:
            assert [n for n in range(128) if old[0][n] != new[0][n] and n not in self.MOVABLE] == []
            assert int.from_bytes(new[0][88:90]) & ~int.from_bytes(old[0][88:90]) == 0
        if old[0][86] != 0x55:
            assert new[0][86] == old[0][86]
            self.locked_otp_stays(old[1], new[1])

    def locked_otp_stays(self, old: bytes, new: bytes) -> None:
        assert new == old

    @invariant()
    def a_locked_slot_never_changes(self) -> None:
        """But for the mark of a validated key in the top nibble of byte 0 (DS20005927A, 2.4.3)."""
        start = 0
        for number, size in enumerate((36,) * 8 + (416,) + (72,) * 7):
            if not self.before[0][88 + number // 8] >> number % 8 & 1 and self.before[0][87] != 0x55:
                old, new = self.before[2][start : start + size], bytes(self.chip.memory.data[start : start + size])
                if self.chip.core.slot(number).needs_validation:
                    assert old[0] & 0x0F == new[0] & 0x0F
                    old, new = old[1:], new[1:]
                assert old == new
            start += size

    @invariant()
    def counters_never_fall(self) -> None:
        from atcaprov.emulator.memory import Memory

        if self.before[0][87] == 0x55:
            return  # an open configuration zone may be written
        old = Memory(*self.before)
        for number in range(2):
            assert read_counter(self.chip.memory, number) >= read_counter(old, number)

    @invariant()
    def sleep_leaves_nothing(self) -> None:
        if self.chip.power in (Power.ASLEEP, Power.OFF):
            volatile = self.chip.core.volatile
            assert not volatile.temp_key.valid
            assert volatile.temp_key.value == bytes(64)
            assert volatile.message_digest is None
            assert volatile.alternate_key is None
            assert volatile.sha is None
            assert volatile.authorized is None

    @precondition(lambda self: self.replies and self.replies[-1] in (b"\x03", b"\x0f"))
    @invariant()
    def a_refused_command_changes_no_memory(self) -> None:
        assert self.chip.memory.image() == self.before


class LifeOfA508A(LifeOfAChip):
    """The ATECC508A: it uses up the bits of LastKeyUse, and in consumption mode those of OTP."""

    IMAGE = "atecc508a"
    MOVABLE = LifeOfAChip.MOVABLE | {*range(68, 84)}

    def locked_otp_stays(self, old: bytes, new: bytes) -> None:
        consumes = self.chip.memory.config[18] == 0x55
        assert all(
            after == before & after if consumes else after == before for before, after in zip(old, new, strict=True)
        )

    @rule(p1=st.integers(0, 7))
    def pause(self, p1: int) -> None:
        self.send(Opcode.PAUSE, p1)

    @rule(word=st.integers(0, 15), content=st.binary(min_size=4, max_size=4))
    def consume_otp(self, word: int, content: bytes) -> None:
        self.send(Opcode.WRITE, 1, word, content)


LIVES = settings(max_examples=int(os.environ.get("ATCAPROV_LIVES", "60")), stateful_step_count=40, deadline=None)
TestLifeOfAChip = LifeOfAChip.TestCase
TestLifeOfAChip.settings = LIVES
TestLifeOfA508A = LifeOfA508A.TestCase
TestLifeOfA508A.settings = LIVES
