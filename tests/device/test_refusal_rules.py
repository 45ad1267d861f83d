"""Refusals (0F) are explained from the configuration; the software chip, which decides by its own code, judges."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import Device, DeviceError, EmulatedHal, SoftwareChip
from atcaprov.chip.commands import Opcode
from atcaprov.device.refusal_rules import CommandHead, forbidding_rule
from tests.support.chips import awake_chip, configured_memory, packet

SIGNER = {3: (0x2083, 0x0033)}  # a lockable private P-256 key that signs digests and can be generated again
SECRET = {9: (0x4988, 0x003C)}
BLOCK = bytes(32)

# command, P1, P2, data, slots, locks (configuration, data), bit, words
ROWS = [
    (Opcode.SIGN, 0x80, 3, b"", SIGNER, (False, False), "LockConfig", "must be locked first"),
    (Opcode.SIGN, 0x80, 3, b"", {3: (0x2083, 0x003C)}, (True, True), "KeyConfig.Private", "not for private keys"),
    (Opcode.SIGN, 0x80, 3, b"", {3: (0x2082, 0x0033)}, (True, True), "SlotConfig.ReadKey bit 0", "from outside"),
    (Opcode.SIGN, 0x00, 3, b"", {3: (0x2081, 0x0033)}, (True, True), "SlotConfig.ReadKey bit 1", "chip itself"),
    (Opcode.SIGN, 0x80, 3, b"", {3: (0x2083, 0x05B3)}, (True, True), "KeyConfig.ReqAuth", "CheckMac on slot 5"),
    (Opcode.SIGN, 0x80, 3, b"", {3: (0x2003, 0x0033)}, (True, True), "SlotConfig.IsSecret", "IsSecret is 0"),
    (Opcode.ECDH, 0x00, 3, bytes(64), SIGNER, (True, True), "SlotConfig.ReadKey bit 2", "does not allow ECDH"),
    (Opcode.GEN_KEY, 4, 3, b"", {3: (0x0083, 0x0033)}, (True, True), "SlotConfig.WriteConfig bit 13", "no new key"),
    (Opcode.GEN_KEY, 0, 3, b"", {3: (0x2083, 0x0031)}, (True, True), "KeyConfig.PubInfo", "PubInfo is 0"),
    (Opcode.GEN_KEY, 4, 3, b"", SIGNER, (False, False), "LockConfig", "must be locked first"),
    (Opcode.READ, 0x82, 9 << 3, b"", SECRET, (True, False), "LockValue", "before the data lock"),
    (Opcode.READ, 0x82, 3 << 3, b"", SIGNER, (True, True), "KeyConfig.Private", "private key"),
    (Opcode.READ, 0x82, 9 << 3, b"", SECRET, (True, True), "SlotConfig.IsSecret", "never read"),
    (Opcode.READ, 0x82, 9 << 3, b"", {9: (0x49C8, 0x003C)}, (True, True), "SlotConfig.ReadKey", "GenDig on slot 8"),
    (Opcode.WRITE, 0x80, 2, BLOCK, {}, (True, False), "LockConfig", "is locked"),
    (Opcode.WRITE, 0x82, 9 << 3, BLOCK, SECRET, (False, False), "LockConfig", "must be locked first"),
    (Opcode.WRITE, 0x82, 3 << 3, BLOCK, SIGNER, (True, False), "KeyConfig.Private", "only PrivWrite"),
    (Opcode.WRITE, 0x82, 9 << 3, BLOCK, SECRET, (True, True), "SlotConfig.WriteConfig", "under slot 9"),
    (Opcode.WRITE, 0x82, 9 << 3, BLOCK, {9: (0x8000, 0x003C)}, (True, True), "SlotConfig.WriteConfig", "never written"),
    (Opcode.WRITE, 0x02, 9 << 3, bytes(4), {9: (0x0000, 0x003C)}, (True, False), "LockValue", "32 bytes"),
    (Opcode.WRITE, 0x81, 0, BLOCK, {}, (True, True), "LockValue", "OTP zone is locked"),
    (Opcode.LOCK, 0x80, 0, b"", {}, (True, False), "LockConfig", "locked already"),
    (Opcode.LOCK, 0x81, 0, b"", {}, (True, True), "LockValue", "locked already"),
    (Opcode.LOCK, 0x81, 0, b"", {}, (False, False), "LockConfig", "must be locked first"),
    (Opcode.LOCK, 2 | 9 << 2, 0, b"", {9: (0x0000, 0x001C)}, (True, True), "KeyConfig.Lockable", "Lockable is 0"),
    (Opcode.MAC, 0, 3, BLOCK, SIGNER, (True, True), "KeyConfig.Private", "not a symmetric one"),
    (Opcode.MAC, 0, 9, BLOCK, {9: (0x0090, 0x003C)}, (True, True), "SlotConfig.NoMac", "only verifies"),
]


def chip_with_keys(slots: dict[int, tuple[int, int]], *, config: bool, data: bool) -> SoftwareChip:
    """Return an awake chip where each slot of a private key holds one."""
    chip = awake_chip(configured_memory(slots=slots, config_locked=config, data_locked=data))
    for number, (_, key_config) in slots.items():
        if key_config & 1:
            chip.core.slot(number).store_private_key(chip.core.new_key_pair()[0])
    return chip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0].name}-{row[6]}-{row[5]}")
def test_rule_is_the_one_that_the_chip_obeys(row: tuple) -> None:  # type: ignore[type-arg]
    opcode, p1, p2, data, slots, (config, data_lock), bit, words = row
    chip = chip_with_keys(slots, config=config, data=data_lock)
    if opcode == Opcode.SIGN:
        chip.exchange(packet(Opcode.NONCE, 3, 0, BLOCK))
    assert chip.exchange(packet(opcode, p1, p2, data))[1] == 0x0F
    assert chip.last_refusal is not None
    assert chip.last_refusal.bit == bit
    rule = forbidding_rule(CommandHead(opcode, p1, p2), bytes(chip.memory.config))
    assert rule is not None
    assert rule.bit == bit
    assert words in rule.sentence


COMMANDS = st.sampled_from(
    [
        (Opcode.SIGN, 0x80, 3, b""), (Opcode.GEN_KEY, 4, 3, b""), (Opcode.GEN_KEY, 0, 3, b""),
        (Opcode.READ, 0x82, 3 << 3, b""), (Opcode.READ, 0x02, 3 << 3, b""), (Opcode.WRITE, 0x82, 3 << 3, BLOCK),
        (Opcode.WRITE, 0x02, 3 << 3, bytes(4)), (Opcode.LOCK, 2 | 3 << 2, 0, b""), (Opcode.MAC, 0, 3, BLOCK),
    ]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(COMMANDS, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.booleans(), st.booleans())
def test_refusal_by_a_bit_is_explained_for_any_configuration(
    command: tuple[Opcode, int, int, bytes], slot_config: int, key_config: int, config: bool, data_lock: bool
) -> None:
    slots = {3: (slot_config, key_config)}
    chip = chip_with_keys(slots, config=config, data=config and data_lock)
    chip.exchange(packet(Opcode.NONCE, 3, 0, BLOCK))
    reply = chip.exchange(packet(*command))
    refusal = chip.last_refusal
    if len(reply) == 4 and reply[1] == 0x0F and refusal is not None and refusal.bit in {row[6] for row in ROWS}:
        rule = forbidding_rule(CommandHead(*command[:3]), bytes(chip.memory.config))
        assert rule is not None, refusal
        assert rule.sentence.endswith(".")


def test_refusal_that_leaves_the_chip_is_explained() -> None:
    chip = chip_with_keys({3: (0x2082, 0x0033)}, config=True, data=True)
    with pytest.raises(DeviceError) as refused, Device(EmulatedHal(chip, "emulator:")) as device:
        device.sign(3, BLOCK)
    assert refused.value.forbidding_bit == "SlotConfig.ReadKey bit 0"
    assert str(refused.value).endswith(
        "(status 0F). Slot 3 does not sign digests from outside: bit 0 of SlotConfig.ReadKey (byte 26) is 0."
    )


def test_refusal_without_a_rule_stays_as_it_is() -> None:
    chip = awake_chip(configured_memory(slots=SIGNER))
    with pytest.raises(DeviceError) as refused, Device(EmulatedHal(chip, "emulator:")) as device:
        device.sign(3, BLOCK)  # the slot is empty, which no bit tells
    assert (refused.value.forbidding_bit, refused.value.status) == ("", 0x0F)
