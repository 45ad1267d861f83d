"""What the public data sheet of the ATECC508A says of the time between both locks (DS20005927A, 2.2.5, 2.3, 9.4, 9.6,
9.7, 9.14, 9.18, 9.21): each point in both readings for the ATECC608.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.command import xor
from atcaprov.emulator.open_points import OpenPointError, OpenPoints, StrictOpenPoints
from tests.emulator.test_commands_by_wheel import host_key, host_sign
from tests.emulator.test_refusals import DATA, FIXED, RANDOM, SCALAR, SECRET, Request
from tests.support.both_chip_types import PART_508A, PART_608A, PARTS, authorize, authorized_slot, chip_of
from tests.support.chips import ChipReply, send

PASSWORD: Final = b"p" * 32
REQ_AUTH, REQ_RANDOM, PERSISTENT_DISABLE = 0x0580, 0x0040, 0x1000
HOST_KEY, HOST_PUBLIC_KEY = host_key()
SLOTS: Final = {
    0: (0x0083, 0x0031 | REQ_AUTH),  # a private key, PubInfo 0, no GenKey after the lock
    1: (0x2087, 0x0033 | REQ_RANDOM),
    3: (0x0F8F, 0x003C | PERSISTENT_DISABLE),
    4: (0x0F8F, DATA | REQ_RANDOM),
    5: SECRET,
    6: (0x0F8F, DATA | REQ_AUTH),
    8: (0x4480, DATA),  # encrypted writes under slot 4
    14: (0x0F0D, 0x0032),  # a public key to be validated
}
PRIVATE_TARGET: Final = {2: (0x4483, 0x0033)}
CONTENT: Final = {
    0: SCALAR,
    1: SCALAR,
    5: PASSWORD,
    14: bytes(4) + HOST_PUBLIC_KEY[:32] + bytes(4) + HOST_PUBLIC_KEY[32:],
}
OBEYED = OpenPoints(data_open_key_config="obeyed")
READINGS: Final = [(PART_508A, OBEYED, True), (PART_608A, None, True), (PART_608A, OBEYED, False)]


def open_chip(part: str, rules: OpenPoints | None = None, **more: Any) -> Chip:
    """Return a chip whose data zone is open."""
    options: dict[str, Any] = {"slots": SLOTS | PRIVATE_TARGET, "content": CONTENT} | more
    return chip_of(part, rules, data_locked=False, **options)


def granted(reply: ChipReply) -> bool:
    return reply.body == b"\0" or len(reply.body) > 1


KEY_CONFIG: Final[dict[str, tuple[tuple[Request, ...], Request]]] = {
    "GenKey asks no ReqAuth": ((), (Opcode.GEN_KEY, 4, 0, b"")),
    "GenKey asks no PubInfo": ((), (Opcode.GEN_KEY, 0, 0, b"")),
    "GenKey(digest) asks no ReqRandom": ((FIXED,), (Opcode.GEN_KEY, 8, 1, b"")),
    "GenDig asks no ReqRandom": ((FIXED,), (Opcode.GEN_DIG, 2, 4, b"")),
    "GenDig asks no ReqAuth": ((RANDOM,), (Opcode.GEN_DIG, 2, 6, b"")),
    "Sign asks no ReqAuth": ((FIXED,), (Opcode.SIGN, 0x80, 0, b"")),
    "MAC asks no ReqRandom": ((), (Opcode.MAC, 0, 4, bytes(32))),
    "MAC asks no ReqAuth": ((), (Opcode.MAC, 0, 6, bytes(32))),
    "Verify asks no validation": ((FIXED,), (Opcode.VERIFY, 0, 14, host_sign(HOST_KEY, FIXED[3]))),
}


@pytest.mark.parametrize(("part", "rules", "ignored"), READINGS)
class TestKeyConfig:
    """2.2.5, 9.6, 9.7: it restricts nothing."""

    @pytest.mark.parametrize("name", KEY_CONFIG)
    def test_no_restriction(self, name: str, part: str, rules: OpenPoints | None, ignored: bool) -> None:
        before, request = KEY_CONFIG[name]
        chip = open_chip(part, rules)
        for each in before:
            send(chip, *each)
        assert granted(send(chip, *request)) is ignored

    def test_a_use_leaves_an_authorization(self, part: str, rules: OpenPoints | None, ignored: bool) -> None:
        chip = open_chip(part, rules)
        assert authorize(chip, 5, PASSWORD) == 0
        assert granted(send(chip, Opcode.GEN_KEY, 4, 0))
        # Nothing was asked for, so nothing is used up; where it is asked for, that is an open point of its own.
        assert authorized_slot(chip) == (5 if ignored or chip.core.rules.authorization_uses == "many" else None)

    def test_after_the_data_lock_it_does(self, part: str, rules: OpenPoints | None, ignored: bool) -> None:
        for before, request in KEY_CONFIG.values():
            chip = open_chip(part, rules)
            assert send(chip, Opcode.LOCK, 0x81).status == 0
            for each in before:
                send(chip, *each)
            assert send(chip, *request).status == 0x0F

    def test_private_slots_stay_with_gen_key_and_priv_write(
        self, part: str, rules: OpenPoints | None, ignored: bool
    ) -> None:
        for request in (
            (Opcode.WRITE, 0x82, 0, bytes(32)),
            (Opcode.MAC, 0, 0, bytes(32)),
            (Opcode.GEN_DIG, 2, 0, b""),
            (Opcode.DERIVE_KEY, 0, 0, b""),
        ):
            chip = open_chip(part, rules)
            send(chip, *RANDOM)
            assert send(chip, *request).status == 0x0F


@pytest.mark.parametrize(("rules", "ignored"), [(None, True), (OBEYED, False)])
def test_persistent_disable_belongs_to_key_config(rules: OpenPoints | None, ignored: bool) -> None:
    assert granted(send(open_chip(PART_608A, rules), Opcode.MAC, 0, 3, bytes(32))) is ignored


@pytest.mark.parametrize(("rules", "ignored"), [(None, True), (OBEYED, False)])
def test_the_608_makes_an_hmac_with_a_key_that_asks_for_a_random_nonce(rules: OpenPoints | None, ignored: bool) -> None:
    assert granted(send(open_chip(PART_608A, rules), Opcode.SHA, 4, 4)) is ignored


@pytest.mark.parametrize(
    ("part", "rules", "signs"),
    [
        (PART_508A, OpenPoints(data_open_sign_internal=True), False),
        (PART_608A, None, False),
        (PART_608A, OpenPoints(data_open_sign_internal=True), True),
    ],
)
def test_no_internal_signature(part: str, rules: OpenPoints | None, signs: bool) -> None:
    """9.18."""
    chip = open_chip(part, rules)
    send(chip, *RANDOM)
    assert granted(send(chip, Opcode.GEN_DIG, 2, 5))
    assert granted(send(chip, Opcode.SIGN, 0, 1)) is signs


def mac_of(chip: Chip, header: bytes, plain: bytes) -> bytes:
    serial = chip.memory.serial
    pad = bytes(25 if header[0] == Opcode.WRITE else 21)
    return sha256(chip.core.temp_key.key + header + serial[8:] + serial[:2] + pad + plain).digest()


def write_encrypted(chip: Chip, p1: int, p2: int, *, mac: bytes = b"") -> ChipReply:
    plain = bytes(range(32))
    proof = mac or mac_of(chip, bytes((Opcode.WRITE, p1)) + p2.to_bytes(2, "little"), plain)
    return send(chip, Opcode.WRITE, p1, p2, xor(plain, chip.core.temp_key.key) + proof)


def priv_write_encrypted(chip: Chip, slot: int) -> ChipReply:
    plain, key = SCALAR[:36], chip.core.temp_key.key
    proof = mac_of(chip, bytes((Opcode.PRIV_WRITE, 0x40, slot, 0)), plain)
    return send(chip, Opcode.PRIV_WRITE, 0x40, slot, xor(plain, key + sha256(key).digest()[:4]) + proof)


GEN_DIG = OpenPoints(data_open_write_key="gen-dig")


@pytest.mark.parametrize(
    ("part", "rules", "any_key"), [(PART_508A, GEN_DIG, True), (PART_608A, None, True), (PART_608A, GEN_DIG, False)]
)
class TestKeyOfEncryptedWrites:
    """9.14, 9.21.1: any TempKey, but the MAC is needed."""

    @pytest.mark.parametrize("before", [(FIXED,), (RANDOM,), (RANDOM, (Opcode.GEN_DIG, 2, 5, b""))])
    def test_write(self, part: str, rules: OpenPoints | None, any_key: bool, before: tuple[Request, ...]) -> None:
        chip = open_chip(part, rules)
        for request in before:
            send(chip, *request)
        assert (write_encrypted(chip, 0xC2, 8 << 3).status == 0) is any_key
        assert chip.core.temp_key.valid is not any_key
        assert (chip.memory.read_slot(8, 0, 32) == bytes(range(32))) is any_key

    def test_priv_write(self, part: str, rules: OpenPoints | None, any_key: bool) -> None:
        chip = open_chip(part, rules)
        send(chip, *FIXED)
        assert (priv_write_encrypted(chip, 2).status == 0) is any_key

    def test_gen_dig_of_the_write_key_is_enough_in_every_reading(
        self, part: str, rules: OpenPoints | None, any_key: bool
    ) -> None:
        chip = open_chip(part, rules)
        send(chip, *RANDOM)
        send(chip, Opcode.GEN_DIG, 2, 4)
        assert write_encrypted(chip, 0xC2, 8 << 3).status == 0

    def test_the_mac_is_needed(self, part: str, rules: OpenPoints | None, any_key: bool) -> None:
        chip = open_chip(part, rules)
        send(chip, *RANDOM)
        send(chip, Opcode.GEN_DIG, 2, 4)
        assert write_encrypted(chip, 0xC2, 8 << 3, mac=bytes(32)).status == 0x0F

    def test_without_a_temp_key_nothing_is_written(self, part: str, rules: OpenPoints | None, any_key: bool) -> None:
        assert write_encrypted(open_chip(part, rules), 0xC2, 8 << 3).status == 0x0F


REFUSE = OpenPoints(data_open_clear_with_mac="refuse")


@pytest.mark.parametrize(
    ("part", "rules", "status"), [(PART_508A, REFUSE, 0), (PART_608A, None, 0), (PART_608A, REFUSE, 3)]
)
def test_64_bytes_without_bit_6_are_clear(part: str, rules: OpenPoints | None, status: int) -> None:
    """9.21.1: only the bit decides; the slot then holds the cipher text, and the MAC was not checked."""
    chip = open_chip(part, rules)
    before = chip.memory.read_slot(8, 0, 64)
    assert send(chip, Opcode.WRITE, 0x82, 8 << 3, bytes(range(64))).status == status
    assert chip.memory.read_slot(8, 0, 64) == (before if status else bytes(range(32)) + before[32:])


CLEAR_OTP = OpenPoints(data_open_otp_encrypted=False)


@pytest.mark.parametrize(
    ("part", "rules", "status"), [(PART_508A, CLEAR_OTP, 0), (PART_608A, None, 0), (PART_608A, CLEAR_OTP, 0x0F)]
)
def test_otp_is_written_encrypted(part: str, rules: OpenPoints | None, status: int) -> None:
    """2.3, 9.21."""
    chip = open_chip(part, rules)
    send(chip, *RANDOM)
    assert write_encrypted(chip, 0xC1, 1 << 3).status == status
    assert (bytes(chip.memory.otp[32:]) == bytes(range(32))) is (status == 0)


@pytest.mark.parametrize("part", PARTS)
def test_otp_is_never_written_encrypted_after_the_lock(part: str) -> None:
    """9.21."""
    chip = chip_of(part, config_bytes={18: b"\x55"})
    send(chip, *RANDOM)
    assert write_encrypted(chip, 0xC1, 1 << 3).status == 0x0F


@pytest.mark.parametrize(
    ("part", "rules", "derives"),
    [
        (PART_508A, OpenPoints(data_open_result_in_slot=False), True),
        (PART_608A, None, False),
        (PART_608A, OpenPoints(data_open_result_in_slot=True), True),
    ],
)
def test_derive_key(part: str, rules: OpenPoints | None, derives: bool) -> None:
    """9.4: no word of the data lock."""
    chip = open_chip(part, rules, slots={5: (0x2F8F, DATA)})
    send(chip, *RANDOM)
    assert granted(send(chip, Opcode.DERIVE_KEY, 0, 5)) is derives


@pytest.mark.parametrize(
    ("name", "before", "request_"),
    [
        ("data_open_key_config", (), (Opcode.GEN_KEY, 4, 0, b"")),
        ("data_open_sign_internal", (RANDOM, (Opcode.GEN_DIG, 2, 5, b"")), (Opcode.SIGN, 0, 1, b"")),
        ("data_open_write_key", (RANDOM,), (Opcode.WRITE, 0xC2, 8 << 3, bytes(64))),
        ("data_open_clear_with_mac", (), (Opcode.WRITE, 0x82, 8 << 3, bytes(64))),
        ("data_open_otp_encrypted", (RANDOM,), (Opcode.WRITE, 0xC1, 0, bytes(64))),
    ],
)
def test_a_strict_chip_notices_it(name: str, before: tuple[Request, ...], request_: Request) -> None:
    chip = open_chip(PART_608A)
    for each in before:
        send(chip, *each)
    chip.core.open_points = StrictOpenPoints()
    with pytest.raises(OpenPointError) as caught:
        send(chip, *request_)
    assert caught.value.point == name
