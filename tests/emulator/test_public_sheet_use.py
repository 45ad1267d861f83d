"""Limited use and ReqRandom as the public data sheet of the ATECC508A has them (DS20005927A, 3.2.5, 3.2.6, 2.2.5, 9.x),
and as real ATECC608A parts have been seen to answer.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import FIELDS_608
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.counters import MAXIMUM, read_counter, write_counter
from atcaprov.emulator.open_points import OpenPointError, OpenPoints, StrictOpenPoints
from tests.emulator.test_commands_by_wheel import host_key, host_sign
from tests.emulator.test_refusals import BOOT, FIXED, RANDOM, SECRET
from tests.support.both_chip_types import PART_508A, PART_608A, PARTS, check_mac, chip_of
from tests.support.chips import send

HOST_KEY, HOST_PUBLIC_KEY = host_key()
STORED: Final = bytes(4) + HOST_PUBLIC_KEY[:32] + bytes(4) + HOST_PUBLIC_KEY[32:]
LIMITED_SECRET: Final = (0x0FAF, 0x003C)
LIMITED_PUBLIC: Final = (0x0F2F, 0x0030)
RANDOM_ONLY: Final = 0x0040


def verify(chip: Chip, slot: int, digest: bytes = FIXED[3]) -> int:
    send(chip, *FIXED)
    return send(chip, Opcode.VERIFY, 0, slot, host_sign(HOST_KEY, digest)).status


def digest_to_validate(chip: Chip, slot: int) -> tuple[bytes, bytes]:
    """Let GenKey digest the public key of `slot`; return what its parent signs to validate it, and OtherData."""
    send(chip, *RANDOM)
    assert send(chip, Opcode.GEN_KEY, 0x10, slot, bytes(3)).status == 0
    serial = chip.memory.serial
    signed = bytes((Opcode.SIGN,)) + bytes(10) + serial[8:] + bytes(4) + serial[:2] + bytes(5)
    return sha256(chip.core.temp_key.key + signed).digest(), bytes(19)


@pytest.mark.parametrize("part", PARTS)
class TestCounter0:
    """3.2.5: all commands but GenKey, Read and Write advance it, before their work."""

    def chip(self, part: str) -> Chip:
        slots = {4: LIMITED_SECRET, 9: LIMITED_PUBLIC, 10: LIMITED_PUBLIC, 14: (0x0F0A, 0x0032)}
        content = {9: STORED, 10: STORED, 14: STORED}
        return chip_of(part, slots=slots, content=content)

    def test_verify_counts_granted_or_not(self, part: str) -> None:
        chip = self.chip(part)
        assert verify(chip, 9) == 0
        assert read_counter(chip.memory, 0) == 1
        assert verify(chip, 9, bytes(32)) == 1
        assert read_counter(chip.memory, 0) == 2

    def test_the_parent_of_a_validated_key_counts(self, part: str) -> None:
        chip = self.chip(part)
        digest, other = digest_to_validate(chip, 14)
        assert send(chip, Opcode.VERIFY, 3, 14, host_sign(HOST_KEY, digest) + other).status == 0
        assert read_counter(chip.memory, 0) == 1

    def test_hmac_by_sha_counts_once(self, part: str) -> None:
        chip = self.chip(part)
        assert send(chip, Opcode.SHA, 4, 4).status == 0
        assert send(chip, Opcode.SHA, 5 if part == PART_508A else 2, 3, b"abc").body
        assert read_counter(chip.memory, 0) == 1

    def test_a_failed_check_mac_counts(self, part: str) -> None:
        chip = self.chip(part)
        assert send(chip, Opcode.CHECK_MAC, 0, 4, bytes(77)).status == 1
        assert read_counter(chip.memory, 0) == 1

    def test_a_used_up_key_refuses_and_counts_no_more(self, part: str) -> None:
        chip = self.chip(part)
        write_counter(chip.memory, 0, MAXIMUM)
        assert send(chip, Opcode.SHA, 4, 4).status == 0x0F
        assert verify(chip, 9) == 0x0F
        assert read_counter(chip.memory, 0) == MAXIMUM

    def test_what_does_not_count(self, part: str) -> None:
        """GenKey of a stored key and the slot that CheckMac copies do not."""
        chip = self.chip(part)
        send(chip, *RANDOM)
        assert send(chip, Opcode.GEN_KEY, 0x10, 9, bytes(3)).status == 0
        copied = chip_of(part, slots={4: SECRET, 5: (0x0FA0, 0x003C)}, content={4: b"4" * 32})
        send(copied, *RANDOM)
        assert check_mac(copied, 4, b"4" * 32).status == 0
        assert copied.core.temp_key.valid
        assert (read_counter(chip.memory, 0), read_counter(copied.memory, 0)) == (0, 0)


def test_hmac_by_sha_ends_at_the_limit_of_count_match() -> None:
    """Coldcard/firmware stm32/bootloader/ae.c: HMAC by SHA counts, with the limit that CountMatch names."""
    limit = 2 * (32).to_bytes(4, "little")
    chip = chip_of(PART_608A, slots={4: LIMITED_SECRET}, content={10: limit}, config_bytes={18: b"\xa1"})
    write_counter(chip.memory, 0, 31)
    assert [send(chip, Opcode.SHA, 4, 4).status for _ in range(2)] == [0, 0x0F]
    assert read_counter(chip.memory, 0) == 32


def test_secure_boot_counts_as_verify_does() -> None:
    slots = BOOT | {11: LIMITED_PUBLIC}
    chip = chip_of(PART_608A, slots=slots, content={11: STORED}, config_bytes={70: b"\x03\xbc"})
    digest = bytes(range(32))
    assert send(chip, Opcode.SECURE_BOOT, 5, 0, digest + host_sign(HOST_KEY, digest)).status == 0
    assert read_counter(chip.memory, 0) == 1


@pytest.mark.parametrize(
    ("part", "rules", "counts"),
    [
        (PART_508A, OpenPoints(derive_key_roll_counts=True), False),
        (PART_608A, None, False),
        (PART_608A, OpenPoints(derive_key_roll_counts=True), True),
    ],
)
def test_a_key_that_is_rolled_does_not_count(part: str, rules: OpenPoints | None, counts: bool) -> None:
    """9.4: the parent counts, the target never."""
    chip = chip_of(part, rules, slots={4: (0x2FAF, 0x003C), 5: (0x34AF, 0x003C)})
    send(chip, *RANDOM)
    assert send(chip, Opcode.DERIVE_KEY, 0, 4).status == 0
    assert read_counter(chip.memory, 0) == counts
    send(chip, *RANDOM)
    assert send(chip, Opcode.DERIVE_KEY, 0, 5).status == 0  # its parent is slot 4
    assert read_counter(chip.memory, 0) == 1 + counts


def test_a_strict_chip_notices_a_roll() -> None:
    chip = chip_of(PART_608A, slots={4: (0x2FAF, 0x003C)})
    send(chip, *RANDOM)
    chip.core.open_points = StrictOpenPoints()
    with pytest.raises(OpenPointError) as caught:
        send(chip, Opcode.DERIVE_KEY, 0, 4)
    assert caught.value.point == "derive_key_roll_counts"


class TestLastKeyUse:
    """3.2.6: slot 15 of the ATECC508A has 128 uses of its own."""

    def uses_left(self, chip: Chip) -> int:
        return sum(byte.bit_count() for byte in chip.memory.config[FIELDS_608])

    def test_verify_counts(self) -> None:
        chip = chip_of(PART_508A, slots={15: LIMITED_PUBLIC}, content={15: STORED})
        assert verify(chip, 15) == 0
        assert verify(chip, 15, bytes(32)) == 1
        assert self.uses_left(chip) == 126
        assert read_counter(chip.memory, 0) == 0
        assert chip.memory.config[FIELDS_608.start] == 0x3F  # bit 7 first

    def test_a_key_that_is_validated_counts(self) -> None:
        chip = chip_of(
            PART_508A,
            slots={10: (0x0F0F, 0x0030), 15: (0x0F2A, 0x0032)},
            content={10: STORED, 15: STORED},
        )
        digest, other = digest_to_validate(chip, 15)
        assert send(chip, Opcode.VERIFY, 3, 15, host_sign(HOST_KEY, digest) + other).status == 0
        assert self.uses_left(chip) == 127

    def test_neither_counts_if_one_is_used_up(self) -> None:
        slots = {10: LIMITED_PUBLIC, 15: (0x0F2A, 0x0032)}
        chip = chip_of(PART_508A, slots=slots, content={10: STORED, 15: STORED})
        write_counter(chip.memory, 0, MAXIMUM)
        digest, other = digest_to_validate(chip, 15)
        assert send(chip, Opcode.VERIFY, 3, 15, host_sign(HOST_KEY, digest) + other).status == 0x0F
        assert self.uses_left(chip) == 128

    def test_used_up(self) -> None:
        chip = chip_of(PART_508A, slots={15: LIMITED_PUBLIC}, content={15: STORED})
        chip.memory.config[FIELDS_608] = bytes(16)
        assert verify(chip, 15) == 0x0F


@pytest.mark.parametrize(
    ("part", "rules", "status"),
    [
        (PART_508A, OpenPoints(no_mac_stops_hmac=False), 0x0F),
        (PART_608A, None, 0x0F),
        (PART_608A, OpenPoints(no_mac_stops_hmac=False), 0),
    ],
)
def test_no_hmac_with_a_temp_key_of_a_key_that_only_verifies(part: str, rules: OpenPoints | None, status: int) -> None:
    """2.2.1: NoMac holds for HMAC by SHA, too, by the key and by a TempKey made with it."""
    chip = chip_of(part, rules, slots={6: (0x0F9F, 0x003C)})
    assert send(chip, Opcode.SHA, 4, 6).status == 0x0F
    send(chip, *RANDOM)
    assert send(chip, Opcode.GEN_DIG, 2, 6, bytes(4)).status == 0
    assert send(chip, Opcode.SHA, 4, 0xFFFF).status == status


def test_a_strict_chip_notices_an_hmac_of_it() -> None:
    chip = chip_of(PART_608A, slots={6: (0x0F9F, 0x003C)})
    send(chip, *RANDOM)
    send(chip, Opcode.GEN_DIG, 2, 6, bytes(4))
    chip.core.open_points = StrictOpenPoints()
    with pytest.raises(OpenPointError) as caught:
        send(chip, Opcode.SHA, 4, 0xFFFF)
    assert caught.value.point == "no_mac_stops_hmac"


class TestReqRandom:
    """2.2.5: the message must be a random nonce. What the ATECC608 adds was seen on real parts."""

    @pytest.mark.parametrize(("part", "status"), [(PART_508A, 0), (PART_608A, 0x0F)])
    @pytest.mark.parametrize("nonce", [FIXED, RANDOM])
    def test_hmac_by_sha(self, part: str, status: int, nonce: tuple[int, int, int, bytes]) -> None:
        """wirenboard/atecc-util issue 8: KeyConfig 007C, a real ATECC608A. The sheet is silent."""
        chip = chip_of(part, slots={4: (0x0F8F, 0x003C | RANDOM_ONLY)})
        send(chip, *nonce)
        assert send(chip, Opcode.SHA, 4, 4).status == status

    @pytest.mark.parametrize(("key_config", "status"), [(0x0030, 0), (0x0030 | RANDOM_ONLY, 0x0F)])
    def test_verify_from_the_message_digest_buffer(self, key_config: int, status: int) -> None:
        """MicrochipTech/cryptoauthlib issue 276, a real ATECC608A: only a random nonce in TempKey will do."""
        chip = chip_of(PART_608A, slots={9: (0x0F0F, key_config)}, content={9: STORED})
        send(chip, *RANDOM)
        send(chip, Opcode.NONCE, 0x43, 0, FIXED[3])
        assert send(chip, Opcode.VERIFY, 0x20, 9, host_sign(HOST_KEY, FIXED[3])).status == status

    @pytest.mark.parametrize("part", PARTS)
    def test_verify_from_temp_key(self, part: str) -> None:
        chip = chip_of(part, slots={9: (0x0F0F, 0x0030 | RANDOM_ONLY)}, content={9: STORED})
        assert verify(chip, 9) == 0x0F
        send(chip, *RANDOM)
        assert send(chip, Opcode.VERIFY, 0, 9, host_sign(HOST_KEY, chip.core.temp_key.key)).status == 0

    @pytest.mark.parametrize(("key_config", "status"), [(0x0030, 0), (0x0030 | RANDOM_ONLY, 0x0F)])
    def test_secure_boot(self, key_config: int, status: int) -> None:
        """Secure boot compares as Verify does from the Message Digest Buffer."""
        slots = BOOT | {11: (0x0F0F, key_config)}
        chip = chip_of(PART_608A, slots=slots, content={11: STORED}, config_bytes={70: b"\x03\xbc"})
        digest = bytes(range(32))
        assert send(chip, Opcode.SECURE_BOOT, 5, 0, digest + host_sign(HOST_KEY, digest)).status == status
