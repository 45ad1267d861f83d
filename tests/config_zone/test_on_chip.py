"""The software chip judges the checker: what it calls good has to work on a chip, what it calls wrong must not."""

from __future__ import annotations

import secrets
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import ConfigZone, SoftwareChip, check_config_zone
from atcaprov.certs.keys import verify_digest
from atcaprov.chip.commands import GEN_KEY_CREATE, GEN_KEY_PUBLIC, P1_32_BYTES, Opcode, Status, Zone
from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.config_zone.check import Level, Rule
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.slot import Slot
from tests.support import chips
from tests.support.chips import ChipReply, awake_chip, configured_memory
from tests.support.config_zones import with_slot

NONCE_FIXED = 0x03
SIGN_EXTERNAL = 0x80
REFUSED = {Status.EXECUTION_ERROR, Status.ECC_FAULT}
CERTIFICATE = bytes(range(1, 73))
words = st.integers(0, 0xFFFF)


def configured_chip(zone: bytes) -> SoftwareChip:
    """Return a chip on which a zone was locked; its data zone is open."""
    return awake_chip(configured_memory(config_bytes={16: zone[16:86], 88: zone[88:]}, data_locked=False))


def send(chip: SoftwareChip, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> ChipReply:
    """Send one command and idle, as a host does: volatile memory stays, and the watchdog starts again."""
    reply = chips.send(chip, opcode, p1, p2, data)
    chip.idle()
    return reply


def lock_data(chip: SoftwareChip) -> None:
    chip.memory.config[86] = 0


def address(slot: int, block: int) -> int:
    return slot << 3 | block << 8


def write(chip: SoftwareChip, slot: int, data: bytes) -> list[ChipReply]:
    return [
        send(chip, Opcode.WRITE, Zone.DATA | P1_32_BYTES, address(slot, at // 32), data[at : at + 32].ljust(32, b"\0"))
        for at in range(0, len(data), 32)
    ]


def read(chip: SoftwareChip, slot: int, size: int) -> bytes:
    """Return the content of a slot word by word; shorter if the chip refuses."""
    content = b""
    for at in range(0, size, 4):
        reply = send(chip, Opcode.READ, Zone.DATA, address(slot, at // 32) | at % 32 // 4).body
        if len(reply) != 4:
            break
        content += reply
    return content


def signs(chip: SoftwareChip, slot: int, public_key: bytes) -> bool:
    """Tell whether the slot signs a digest that the host loads."""
    digest = sha256(b"a challenge").digest()
    assert send(chip, Opcode.NONCE, NONCE_FIXED, 0, digest).status == Status.SUCCESS
    signature = send(chip, Opcode.SIGN, SIGN_EXTERNAL, slot).body
    return len(signature) == 64 and verify_digest(public_key, digest, signature)


def serves_as_device_key(zone: bytes, slot: int) -> bool:
    """Tell whether the stages can make a key, read its public key again after the data lock, and have it sign."""
    chip = configured_chip(zone)
    public_key = send(chip, Opcode.GEN_KEY, GEN_KEY_CREATE, slot).body
    lock_data(chip)
    same = send(chip, Opcode.GEN_KEY, GEN_KEY_PUBLIC, slot).body == public_key
    return len(public_key) == 64 and same and signs(chip, slot, public_key)


def keeps_a_certificate(zone: bytes, slot: int) -> bool:
    """Tell whether what was written while the data zone was open can be read after its lock."""
    chip = configured_chip(zone)
    written = all(reply.status == Status.SUCCESS for reply in write(chip, slot, CERTIFICATE))
    lock_data(chip)
    return written and read(chip, slot, len(CERTIFICATE)) == CERTIFICATE


def errors_of(zone: bytes, rule: Rule, **wishes: set[int]) -> list[str]:
    found = check_config_zone(zone, **wishes)  # type: ignore[arg-type]
    return [each.message for each in found if (each.level, each.rule) == (Level.ERROR, rule)]


@pytest.mark.slow
@given(words, words)
def test_device_keys_are_good_exactly_if_the_chip_agrees(slot_config: int, key_config: int) -> None:
    zone = with_slot(0, slot_config, key_config)
    assert serves_as_device_key(zone, 0) is not bool(errors_of(zone, Rule.DEVICE_KEY))


@pytest.mark.slow
@given(st.integers(0, 0xF), st.integers(0, 0xF), st.booleans(), st.booleans(), st.booleans())
def test_usual_device_keys_too(uses: int, write_config: int, pub_info: bool, req_auth: bool, latch: bool) -> None:
    zone = with_slot(0, write_config << 12 | 0x80 | uses, 0x31 | pub_info << 1 | req_auth << 7 | latch << 12)
    assert serves_as_device_key(zone, 0) is not bool(errors_of(zone, Rule.DEVICE_KEY))


@given(st.integers(8, 15), words, words)
def test_certificate_slots_are_good_exactly_if_the_chip_agrees(slot: int, slot_config: int, key_config: int) -> None:
    zone = with_slot(slot, slot_config, key_config)
    good = not errors_of(zone, Rule.CERTIFICATE_SLOT, certificate_slots={slot})
    assert keeps_a_certificate(zone, slot) is good


@pytest.mark.parametrize("access", range(4))
@pytest.mark.parametrize("key_config", range(32))
def test_every_kind_of_slot_for_certificates(access: int, key_config: int) -> None:
    zone = with_slot(10, 0x8F0F | access << 6, key_config)
    good = not errors_of(zone, Rule.CERTIFICATE_SLOT, certificate_slots={10})
    assert keeps_a_certificate(zone, 10) is good


@given(st.integers(0, 15), words, words)
def test_slot_without_clear_write_keeps_its_content(number: int, slot_config: int, key_config: int) -> None:
    """A slot is called always writable exactly if the chip takes a clear write after the data lock."""
    zone = with_slot(number, slot_config, key_config)
    slot = ConfigZone(zone).slots[number]
    chip = configured_chip(zone)
    lock_data(chip)
    (reply,) = write(chip, number, bytes(32))
    if slot.p256 and slot.key_config.pub_info and slot.slot_config.write_config == 1:
        return  # it depends on the content
    assert (reply.status == Status.SUCCESS) is slot.clear_write


@given(st.integers(0, 15), words, words)
def test_what_is_called_readable_is_readable(number: int, slot_config: int, key_config: int) -> None:
    zone = with_slot(number, slot_config, key_config)
    chip = configured_chip(zone)
    lock_data(chip)
    assert (read(chip, number, 4) != b"") is ConfigZone(zone).slots[number].clear_read


@given(st.integers(0, 15), words, words)
def test_keys_are_replaceable_exactly_if_the_chip_makes_new_ones(
    number: int, slot_config: int, key_config: int
) -> None:
    key_config &= ~0x1080  # without conditions on its use
    zone = with_slot(number, slot_config, key_config)
    slot = ConfigZone(zone).slots[number]
    chip = configured_chip(zone)
    lock_data(chip)
    made = len(send(chip, Opcode.GEN_KEY, GEN_KEY_CREATE, number).body) == 64
    assert made is (slot.private and slot.p256 and slot.slot_config.is_secret and slot.slot_config.gen_key)


@given(st.integers(0, 15), words, words)
def test_lockable_slots_lock(number: int, slot_config: int, key_config: int) -> None:
    zone = with_slot(number, slot_config, key_config)
    chip = configured_chip(zone)
    lock_data(chip)
    locked = send(chip, Opcode.LOCK, 0x02 | number << 2).status == Status.SUCCESS
    assert locked is not bool(errors_of(zone, Rule.SLOT_TO_LOCK, slots_to_lock={number}))


def encrypted_read_works(zone: bytes, slot: int, key_slot: int) -> bool:
    """Tell whether the slot is read after GenDig with the key, as a host that knows the key would do it."""
    chip = configured_chip(zone)
    lock_data(chip)
    assert len(send(chip, Opcode.NONCE, 0, 0, bytes(20)).body) == 32
    other_data = bytes(4) if ConfigZone(zone).slots[key_slot].slot_config.no_mac else b""
    send(chip, Opcode.GEN_DIG, 2, key_slot, other_data)
    return len(send(chip, Opcode.READ, Zone.DATA | P1_32_BYTES, address(slot, 0)).body) == 32


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("no_mac", [False, True])
def test_keys_of_encrypted_reads(private: bool, no_mac: bool) -> None:
    key = with_slot(6, 0x8F8F | no_mac << 4, 0x33 if private else 0x1C)
    zone = with_slot(13, 0x8FC6, 0x001C, zone=key)
    assert encrypted_read_works(zone, 13, 6) is not bool(errors_of(zone, Rule.KEY_REFERENCE))


def test_readable_key_works_on_the_chip_and_is_still_refused() -> None:
    zone = with_slot(13, 0x8FC8, 0x001C)
    assert encrypted_read_works(zone, 13, 8)
    assert errors_of(zone, Rule.KEY_REFERENCE)


SLOTS = ConfigZone(DEFAULT_608A).slots


@pytest.fixture
def product() -> SoftwareChip:
    """A chip with the default configuration after a whole run."""
    chip = configured_chip(DEFAULT_608A)
    for slot in SLOTS:
        if slot.private:
            send(chip, Opcode.GEN_KEY, GEN_KEY_CREATE, slot.number)
        else:
            assert all(reply.status == Status.SUCCESS for reply in write(chip, slot.number, content(slot)))
    lock_data(chip)
    return chip


def content(slot: Slot) -> bytes:
    return bytes((slot.number + at) % 256 for at in range(SLOT_SIZES[slot.number]))


@pytest.mark.parametrize("slot", SLOTS, ids=lambda slot: f"slot {slot.number}")
def test_the_default_on_a_chip(product: SoftwareChip, slot: Slot) -> None:
    """Each slot does what the reference page says of it, and nothing else."""
    number = slot.number
    readable, writable = number in {8, *range(10, 16)}, number in {8, 13, 14, 15}
    assert read(product, number, slot.size) == (content(slot) if readable else b"")
    public_key = send(product, Opcode.GEN_KEY, GEN_KEY_PUBLIC, number).body
    assert (len(public_key) == 64) is (number < 5)
    if number < 5:
        assert signs(product, number, public_key) is (number != 1)
    renewed = send(product, Opcode.GEN_KEY, GEN_KEY_CREATE, number)
    assert (len(renewed.body) == 64) is (number in {1, 2, 3, 4})
    overwritten = write(product, number, secrets.token_bytes(32))[0]
    assert (overwritten.status == Status.SUCCESS) is writable
    lock = send(product, Opcode.LOCK, 0x02 | number << 2).status
    assert (lock == Status.SUCCESS) is (number in {*range(5), 8, 13, 14, 15})


def test_nothing_changes_slots_that_are_locked_one_by_one(product: SoftwareChip) -> None:
    for number in (*range(5), 8, 13, 14, 15):
        assert send(product, Opcode.LOCK, 0x02 | number << 2).status == Status.SUCCESS
        assert send(product, Opcode.GEN_KEY, GEN_KEY_CREATE, number).status in REFUSED
        assert write(product, number, bytes(32))[0].status in REFUSED
