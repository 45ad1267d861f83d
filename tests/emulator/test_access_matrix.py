"""What each lock state and slot policy allows, command by command: (configuration open, data open, both locked)."""

from __future__ import annotations

from typing import Final

import pytest

from atcaprov.chip.commands import Opcode, Status
from atcaprov.emulator.chip import Chip
from tests.support.chips import awake_chip, configured_memory, send

OK: Final = "allowed"
NO: Final = "refused"
KEY = (0x2083, 0x0033)
SECRET = (0x8F8F, 0x001C)
CLEAR = (0x0000, 0x003C)
SLOTS = {0: KEY, 4: SECRET, 9: CLEAR}
SCALAR = bytes(4) + bytes(31) + b"\x07"
WORD, BLOCK = bytes(4), bytes(32)

CASES: Final[dict[str, tuple[tuple[int, int, int, bytes], str, str, str]]] = {
    "read configuration": ((Opcode.READ, 0x80, 0, b""), OK, OK, OK),
    "write configuration": ((Opcode.WRITE, 0x80, 8, BLOCK), OK, NO, NO),
    "write a configuration word": ((Opcode.WRITE, 0x00, 5, WORD), OK, NO, NO),
    "read clear data": ((Opcode.READ, 0x82, 9 << 3, b""), NO, NO, OK),
    "read a word of clear data": ((Opcode.READ, 0x02, 9 << 3, b""), NO, NO, OK),
    "read secret data": ((Opcode.READ, 0x82, 4 << 3, b""), NO, NO, NO),
    "read a private key": ((Opcode.READ, 0x82, 0, b""), NO, NO, NO),
    "read OTP": ((Opcode.READ, 0x81, 0, b""), NO, NO, OK),
    "write data, 32 bytes": ((Opcode.WRITE, 0x82, 9 << 3, BLOCK), NO, OK, OK),
    "write data, 4 bytes": ((Opcode.WRITE, 0x02, 9 << 3, WORD), NO, NO, OK),
    "write secret data": ((Opcode.WRITE, 0x82, 4 << 3, BLOCK), NO, OK, NO),
    "write a private slot": ((Opcode.WRITE, 0x82, 0, BLOCK), NO, NO, NO),
    "write OTP, 32 bytes": ((Opcode.WRITE, 0x81, 0, BLOCK), NO, OK, NO),
    "write OTP, 4 bytes": ((Opcode.WRITE, 0x01, 0, WORD), NO, NO, NO),
    "create a key": ((Opcode.GEN_KEY, 4, 0, b""), NO, OK, OK),
    "create a key in TempKey": ((Opcode.GEN_KEY, 4, 0xFFFF, b""), NO, OK, OK),
    "public key": ((Opcode.GEN_KEY, 0, 0, b""), NO, OK, OK),
    "sign": ((Opcode.SIGN, 0x80, 0, b""), NO, OK, OK),
    "random": ((Opcode.RANDOM, 0, 0, b""), OK, OK, OK),
    "random nonce": ((Opcode.NONCE, 0, 0, bytes(20)), OK, OK, OK),
    "fixed nonce": ((Opcode.NONCE, 3, 0, BLOCK), OK, OK, OK),
    "sha": ((Opcode.SHA, 0, 0, b""), OK, OK, OK),
    "hmac with a slot": ((Opcode.SHA, 4, 9, b""), NO, OK, OK),
    "info": ((Opcode.INFO, 0, 0, b""), OK, OK, OK),
    "update extra": ((Opcode.UPDATE_EXTRA, 0, 1, b""), OK, OK, OK),
    "lock configuration": ((Opcode.LOCK, 0x80, 0, b""), OK, NO, NO),
    "lock data": ((Opcode.LOCK, 0x81, 0, b""), NO, OK, NO),
    "lock a slot": ((Opcode.LOCK, 0x02 | 9 << 2, 0, b""), NO, OK, OK),
    "lock a slot that is not lockable": ((Opcode.LOCK, 0x02 | 4 << 2, 0, b""), NO, NO, NO),
}


def chip_in(stage: int) -> Chip:
    memory = configured_memory(
        slots=SLOTS, content={0: SCALAR, 9: bytes(72)}, config_locked=stage > 0, data_locked=stage > 1
    )
    chip = awake_chip(memory)
    send(chip, Opcode.NONCE, 3, 0, BLOCK)
    return chip


@pytest.mark.parametrize("stage", range(3), ids=["open", "configured", "locked"])
@pytest.mark.parametrize("name", CASES)
def test_the_lock_state_decides(name: str, stage: int) -> None:
    request_, *expected = CASES[name]
    chip = chip_in(stage)
    before = chip.memory.image()
    reply = send(chip, *request_)
    refused = reply.body == bytes((Status.EXECUTION_ERROR,))
    assert refused is (expected[stage] == NO), reply.reason
    if refused:
        assert chip.memory.image() == before


READS: Final = [
    # IsSecret, EncryptRead, 4 bytes, 32 bytes
    (0, 0, OK, OK),
    (0, 1, NO, NO),
    (1, 0, NO, NO),
    (1, 1, NO, NO),  # encrypted: needs a session key
]


@pytest.mark.parametrize(("secret", "encrypted", "word", "block"), READS)
def test_slot_config_decides_on_reads(secret: int, encrypted: int, word: str, block: str) -> None:
    chip = awake_chip(configured_memory(slots={9: (secret << 7 | encrypted << 6, 0x001C)}))
    assert (send(chip, Opcode.READ, 0x02, 9 << 3).body == b"\x0f") is (word == NO)
    assert (send(chip, Opcode.READ, 0x82, 9 << 3).body == b"\x0f") is (block == NO)


@pytest.mark.parametrize("write_config", range(16))
@pytest.mark.parametrize("secret", [0, 1])
def test_slot_config_decides_on_clear_writes(write_config: int, secret: int) -> None:
    allowed = write_config in (0b0000, 0b0001)
    memory = configured_memory(slots={9: (write_config << 12 | secret << 7, 0x001C)})
    assert (send(awake_chip(memory), Opcode.WRITE, 0x82, 9 << 3, BLOCK).status == 0) is allowed
    word = send(awake_chip(memory), Opcode.WRITE, 0x02, 9 << 3, WORD)
    # 4 bytes: WriteConfig 0000 only (DS20005927A section 9.21).
    assert (word.status == 0) is (write_config == 0 and not secret), word.reason


@pytest.mark.parametrize("write_config", range(16))
def test_bit_13_decides_on_new_keys_after_the_data_lock(write_config: int) -> None:
    memory = configured_memory(slots={0: (write_config << 12 | 0x83, 0x0033)})
    reply = send(awake_chip(memory), Opcode.GEN_KEY, 4, 0)
    assert (len(reply.body) == 64) is bool(write_config & 0b0010), reply.reason


@pytest.mark.parametrize(
    ("slot_config", "key_config", "create", "public", "sign"),
    [
        (0x2083, 0x0033, OK, OK, OK),
        (0x2003, 0x0033, NO, NO, NO),  # not secret (DS20005927A sections 2.2.1, 9.7, 9.18)
        (0x2083, 0x0031, OK, NO, OK),  # PubInfo 0
        (0x2083, 0x003F, NO, NO, NO),  # KeyType 7
        (0x2083, 0x0032, NO, NO, NO),  # not private
        (0x2082, 0x0033, OK, OK, NO),  # internal signatures only
        (0x2083, 0x00B3, NO, NO, NO),  # ReqAuth
        (0x2083, 0x1033, OK, OK, NO),  # PersistentDisable
    ],
)
def test_slot_and_key_config_decide_on_keys(
    slot_config: int, key_config: int, create: str, public: str, sign: str
) -> None:
    def refused(opcode: int, p1: int, p2: int) -> str:
        chip = awake_chip(configured_memory(slots={0: (slot_config, key_config)}, content={0: SCALAR}))
        send(chip, Opcode.NONCE, 3, 0, BLOCK)
        return NO if send(chip, opcode, p1, p2).body == b"\x0f" else OK

    assert refused(Opcode.GEN_KEY, 4, 0) == create
    assert refused(Opcode.GEN_KEY, 0, 0) == public
    assert refused(Opcode.SIGN, 0x80, 0) == sign


@pytest.mark.parametrize("scalar", [bytes(36), b"\xff" * 36, bytes(3) + b"\x01" + bytes(31) + b"\x01"])
def test_a_slot_without_a_valid_scalar_has_no_key(scalar: bytes) -> None:
    chip = awake_chip(configured_memory(slots={0: KEY}, content={0: scalar}))
    assert send(chip, Opcode.INFO, 1, 0).body == bytes(4)
    assert send(chip, Opcode.GEN_KEY, 0, 0).body == b"\x0f"
    send(chip, Opcode.NONCE, 3, 0, BLOCK)
    assert send(chip, Opcode.SIGN, 0x80, 0).body == b"\x0f"


ADDRESSES: Final = [
    # P1, P2, read, write
    (0x02, 3 << 3 | 1 << 8, OK, OK),  # word 0 of block 1, slot 3: the 36-byte slot's last word
    (0x02, 3 << 3 | 1 << 8 | 1, NO, NO),
    (0x82, 3 << 3 | 1 << 8, OK, OK),  # the last, partial block (DS20005927A section 9.1.4)
    (0x82, 3 << 3 | 2 << 8, NO, NO),
    (0x02, 9 << 3 | 2 << 8 | 1, OK, OK),
    (0x02, 9 << 3 | 2 << 8 | 2, NO, NO),
    (0x82, 9 << 3 | 2 << 8, OK, OK),
    (0x82, 9 << 3 | 3 << 8, NO, NO),
    (0x82, 8 << 3 | 12 << 8, OK, OK),
    (0x82, 8 << 3 | 13 << 8, NO, NO),
    (0x02, 8 << 3 | 12 << 8 | 7, OK, OK),
    (0x01, 0x0F, OK, NO),
    (0x01, 0x10, NO, NO),
    (0x00, 0x1F, OK, NO),
    (0x00, 0x20, NO, NO),
    (0x80, 0x1F, OK, NO),  # the word field is ignored
]


@pytest.mark.parametrize(("p1", "p2", "read", "write"), ADDRESSES)
def test_addresses(p1: int, p2: int, read: str, write: str) -> None:
    memory = configured_memory(slots=dict.fromkeys((3, 8, 9), CLEAR))
    chip = awake_chip(memory)
    data = bytes(32 if p1 & 0x80 else 4)
    answer = send(chip, Opcode.READ, p1, p2)
    assert (answer.body == b"\x0f") is (read == NO), answer.reason
    assert (send(chip, Opcode.WRITE, p1, p2, data).status == 0) is (write == OK)


def test_the_excess_of_a_block_write_is_dropped() -> None:
    memory = configured_memory(slots={3: CLEAR, 4: CLEAR})
    chip = awake_chip(memory)
    assert send(chip, Opcode.WRITE, 0x82, 3 << 3 | 1 << 8, b"abcd" + b"x" * 28).status == 0
    assert memory.read_slot(3, 32, 4) == b"abcd"
    assert memory.read_slot(4, 0, 36) == b"\xff" * 36


def test_a_validated_key_marks_its_slot_invalid_when_written() -> None:
    memory = configured_memory(slots={14: (0x0000, 0x0012)})
    chip = awake_chip(memory)
    send(chip, Opcode.WRITE, 0x82, 14 << 3, bytes(32))
    assert send(chip, Opcode.READ, 0x82, 14 << 3).body[0] == 0xA0
    memory.data[-2 * 72] = 0x50
    send(chip, Opcode.WRITE, 0x82, 14 << 3 | 1 << 8, bytes(32))
    assert send(chip, Opcode.READ, 0x82, 14 << 3).body[0] == 0xA0


def test_pub_invalid_slots_are_written_only_while_not_validated() -> None:
    memory = configured_memory(slots={14: (0x1000, 0x0012)})
    chip = awake_chip(memory)
    assert send(chip, Opcode.WRITE, 0x82, 14 << 3, bytes(32)).status == 0
    memory.data[-2 * 72] = 0x50
    assert send(chip, Opcode.WRITE, 0x82, 14 << 3, bytes(32)).status == 0x0F
