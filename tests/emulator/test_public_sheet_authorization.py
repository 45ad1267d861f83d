"""Authorization as the public data sheet of the ATECC508A has it (DS20005927A, 2.2.5, 3.2.9, 9.2, 9.20)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.open_points import OpenPointError, OpenPoints, StrictOpenPoints
from tests.emulator.test_commands_by_wheel import host_key, host_sign
from tests.emulator.test_refusals import FIXED, RANDOM, SCALAR, SECRET
from tests.support.both_chip_types import PART_508A, PART_608A, PARTS, authorize, authorized_slot, check_mac, chip_of
from tests.support.chips import ChipReply, send

PASSWORD: Final = b"p" * 32
OTHER: Final = b"o" * 32
ONE, MANY = OpenPoints(authorization_uses="one"), OpenPoints(authorization_uses="many")
ENDS, LEAVES = OpenPoints(checkmac_failure_clears=True), OpenPoints(checkmac_failure_clears=False)
HOST_KEY, HOST_PUBLIC_KEY = host_key()
STORED: Final = bytes(4) + HOST_PUBLIC_KEY[:32] + bytes(4) + HOST_PUBLIC_KEY[32:]
SLOTS: Final = {
    0: (0x278F, 0x05B3),  # a private key, ReqAuth by slot 5
    2: SECRET,
    3: (0x0F80, 0x003C),  # a secret that CheckMac may copy
    4: (0x0F8F, 0x05BC),  # a secret, ReqAuth by slot 5
    5: SECRET,
    7: SECRET,
    9: (0x0F0F, 0x05B0),  # a public key, ReqAuth by slot 5
    10: (0x0F0F, 0x0030),  # a public key
    12: (0x0F8F, 0x07BC),  # a secret, ReqAuth by slot 7
}
CONTENT: Final = {0: SCALAR, 2: OTHER, 4: OTHER, 5: PASSWORD, 7: OTHER, 9: STORED, 10: STORED, 12: OTHER}


def locked_chip(part: str, rules: OpenPoints | None = None) -> Chip:
    return chip_of(part, rules, slots=SLOTS, content=CONTENT)


def sign(chip: Chip) -> ChipReply:
    send(chip, *FIXED)
    return send(chip, Opcode.SIGN, 0x80, 0)


def verify(chip: Chip, slot: int, digest: bytes = FIXED[3]) -> int:
    """Show `slot` a signature under the host's key, over another digest than the loaded one unless given."""
    send(chip, *FIXED)
    return send(chip, Opcode.VERIFY, 0, slot, host_sign(HOST_KEY, digest)).status


def mac(chip: Chip) -> ChipReply:
    send(chip, *RANDOM)
    return send(chip, Opcode.MAC, 1, 4)


def gen_dig(chip: Chip) -> ChipReply:
    send(chip, *RANDOM)
    return send(chip, Opcode.GEN_DIG, 2, 4)


def digest_of_stored_key(chip: Chip) -> ChipReply:
    send(chip, *RANDOM)
    return send(chip, Opcode.GEN_KEY, 0x10, 9, bytes(3))


def check_other(chip: Chip) -> ChipReply:
    send(chip, *RANDOM)
    return check_mac(chip, 4, PASSWORD)  # wrong: the slot holds another key


USES: Final[dict[str, Callable[[Chip], object]]] = {
    "Sign": sign,
    "GenKey public": lambda chip: send(chip, Opcode.GEN_KEY, 0, 0),
    "GenKey create": lambda chip: send(chip, Opcode.GEN_KEY, 4, 0),
    "GenKey digest": digest_of_stored_key,
    "GenDig": gen_dig,
    "MAC": mac,
    "HMAC by SHA": lambda chip: send(chip, Opcode.SHA, 4, 4),
    "a failed CheckMac": check_other,
    "a failed Verify": lambda chip: verify(chip, 9, bytes(32)),
}
OTHERS: Final[dict[str, tuple[int, int, int, bytes]]] = {
    "Random": (Opcode.RANDOM, 0, 0, b""),
    "Nonce": RANDOM,
    "Read": (Opcode.READ, 0x80, 0, b""),
    "Info": (Opcode.INFO, 2, 0, b""),
    "a refused use of a key without ReqAuth": (Opcode.SIGN, 0x80, 5, b""),
}


class TestOneUse:
    """2.2.5, 3.2.9: any command that uses a key with ReqAuth ends the authorization."""

    @pytest.mark.parametrize(
        ("part", "rules", "uses"),
        [(PART_508A, MANY, 1), (PART_608A, None, 1), (PART_608A, ONE, 1), (PART_608A, MANY, 3)],
    )
    def test_signatures_behind_one_check_mac(self, part: str, rules: OpenPoints | None, uses: int) -> None:
        chip = locked_chip(part, rules)
        assert authorize(chip, 5, PASSWORD) == 0
        granted = [len(sign(chip).body) == 64 for _ in range(3)]
        assert granted == [True] * uses + [False] * (3 - uses)

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("name", USES)
    def test_each_command_that_uses_such_a_key_ends_it(self, name: str, part: str) -> None:
        chip = locked_chip(part, ONE)
        assert authorize(chip, 5, PASSWORD) == 0
        USES[name](chip)
        assert authorized_slot(chip) is None

    def test_kdf_ends_it(self) -> None:
        chip = locked_chip(PART_608A, ONE)
        assert authorize(chip, 5, PASSWORD) == 0
        assert len(send(chip, Opcode.KDF, 0x12, 4, (1 << 24 | 1).to_bytes(4, "little") + b"m").body) == 32
        assert authorized_slot(chip) is None

    @pytest.mark.parametrize("part", PARTS)
    def test_a_use_that_asks_for_another_slot_ends_it_too(self, part: str) -> None:
        chip = locked_chip(part, ONE)
        assert authorize(chip, 5, PASSWORD) == 0
        assert send(chip, Opcode.MAC, 0, 12, bytes(32)).status == 0x0F
        assert sign(chip).status == 0x0F

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("name", OTHERS)
    def test_other_commands_and_idle_do_no_harm(self, name: str, part: str) -> None:
        chip = locked_chip(part, ONE)
        assert authorize(chip, 5, PASSWORD) == 0
        send(chip, *OTHERS[name])
        chip.idle()
        assert len(sign(chip).body) == 64

    @pytest.mark.parametrize("part", PARTS)
    def test_sleep_ends_it(self, part: str) -> None:
        chip = locked_chip(part, MANY)
        assert authorize(chip, 5, PASSWORD) == 0
        chip.sleep()
        assert sign(chip).status == 0x0F

    @pytest.mark.parametrize(
        ("name", "ask"),
        [
            ("authorization_uses", lambda chip: send(chip, Opcode.SIGN, 0x80, 0)),
            ("checkmac_challenge_authorizes", lambda chip: check_mac(chip, 7, OTHER, 0)),
            ("checkmac_failure_clears", lambda chip: check_mac(chip, 7, PASSWORD)),
            ("checkmac_copy", lambda chip: check_mac(chip, 2, OTHER)),
        ],
    )
    def test_a_strict_chip_notices_it(self, name: str, ask: Callable[[Chip], object]) -> None:
        """Also what else is open about CheckMac."""
        chip = locked_chip(PART_608A)
        assert authorize(chip, 5, PASSWORD) == 0
        send(chip, *RANDOM)
        chip.core.open_points = StrictOpenPoints()
        with pytest.raises(OpenPointError) as caught:
            ask(chip)
        assert caught.value.point == name


@pytest.mark.parametrize("part", PARTS)
class TestWhatAuthorizes:
    @pytest.mark.parametrize(("mode", "authorizes"), [(0, False), (1, True), (4, False), (5, True)])
    def test_check_mac_over_a_nonce_in_temp_key_alone(self, part: str, mode: int, authorizes: bool) -> None:
        """2.2.5, 9.2: bit 0 of the mode is set, bit 1 is clear."""
        chip = locked_chip(part)
        send(chip, *FIXED) if mode & 4 else send(chip, *RANDOM)
        assert check_mac(chip, 5, PASSWORD, mode).status == 0
        assert authorized_slot(chip) == (5 if authorizes else None)

    def test_whether_a_challenge_authorizes_is_open_for_the_608(self, part: str) -> None:
        chip = locked_chip(part, OpenPoints(checkmac_challenge_authorizes=True))
        assert check_mac(chip, 5, PASSWORD, 0).status == 0
        assert authorized_slot(chip) == (None if part == PART_508A else 5)

    def test_verify_of_a_stored_key(self, part: str) -> None:
        """2.2.5, 9.20."""
        chip = locked_chip(part)
        assert verify(chip, 10) == 0
        assert authorized_slot(chip) == 10

    def test_verify_of_a_key_from_outside_does_not(self, part: str) -> None:
        chip = locked_chip(part)
        send(chip, *FIXED)
        assert send(chip, Opcode.VERIFY, 2, 4, host_sign(HOST_KEY, FIXED[3]) + HOST_PUBLIC_KEY).status == 0
        assert authorized_slot(chip) is None

    def test_the_newest_success_counts(self, part: str) -> None:
        """2.2.5: also that of a key which needed an authorization itself."""
        chip = locked_chip(part)
        assert authorize(chip, 5, PASSWORD) == 0
        assert authorize(chip, 4, OTHER) == 0
        assert authorized_slot(chip) == 4
        assert verify(chip, 10) == 0
        assert authorized_slot(chip) == 10

    @pytest.mark.parametrize("bits", [0x08, 0x10, 0x20, 0x40, 0x80])
    def test_check_mac_knows_no_other_bits(self, part: str, bits: int) -> None:
        """9.2: bits 7 to 3 of the mode are 0."""
        chip = locked_chip(part)
        assert send(chip, Opcode.CHECK_MAC, bits, 5, bytes(77)).status == 3


@pytest.mark.parametrize(
    ("part", "rules", "left"),
    [(PART_508A, ENDS, 5), (PART_608A, None, 5), (PART_608A, ENDS, None), (PART_608A, LEAVES, 5)],
)
class TestFailedProofs:
    """2.2.5: they leave an authorization, unless their key has ReqAuth itself (see above)."""

    def test_check_mac(self, part: str, rules: OpenPoints | None, left: int | None) -> None:
        chip = locked_chip(part, rules)
        assert authorize(chip, 5, PASSWORD) == 0
        assert authorize(chip, 7, PASSWORD) == 1
        assert authorized_slot(chip) == left

    def test_verify(self, part: str, rules: OpenPoints | None, left: int | None) -> None:
        chip = locked_chip(part, rules)
        assert authorize(chip, 5, PASSWORD) == 0
        assert verify(chip, 10, bytes(32)) == 1
        assert authorized_slot(chip) == left


class TestCopy:
    """9.2, 3.2.7: CheckMac of modes 01 and 05 copies a key into TempKey if that key's ReadKey is 0."""

    @pytest.mark.parametrize(
        ("part", "choice", "read_keys", "shown", "copied"),
        [
            (PART_508A, "self", (15, 0), 4, 5),
            (PART_508A, "self", (15, 0), 5, 5),
            (PART_508A, "self", (0, 15), 4, None),
            (PART_508A, "self", (0, 15), 5, None),
            (PART_608A, "odd-slot", (15, 0), 4, 5),
            (PART_608A, "odd-slot", (15, 0), 5, 5),
            (PART_608A, "odd-slot", (0, 15), 4, None),
            (PART_608A, "partner", (15, 0), 4, 5),
            (PART_608A, "partner", (15, 0), 5, None),
            (PART_608A, "partner", (0, 15), 4, 4),
            (PART_608A, "partner", (0, 0), 4, 5),
            (PART_608A, "partner", (15, 15), 4, None),
            (PART_608A, "self", (15, 0), 4, None),
            (PART_608A, "self", (0, 0), 4, 4),
            (PART_608A, "self", (0, 0), 5, None),
        ],
    )
    def test_the_source(
        self, part: str, choice: str, read_keys: tuple[int, int], shown: int, copied: int | None
    ) -> None:
        slots = {4 + place: (0x0F80 | read_key, 0x003C) for place, read_key in enumerate(read_keys)}
        rules = OpenPoints(checkmac_copy=choice)  # type: ignore[arg-type]
        chip = chip_of(part, rules, slots=slots, content={4: b"\x04" * 32, 5: b"\x05" * 32})
        assert authorize(chip, shown, bytes((shown,)) * 32) == 0
        assert chip.core.temp_key.valid is (copied is not None)
        if copied is not None:
            assert chip.core.temp_key.key == bytes((copied,)) * 32
            assert chip.core.temp_key.from_input

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("mode", [0, 4])
    def test_other_modes_copy_nothing(self, part: str, mode: int) -> None:
        chip = chip_of(part, slots={4: (0x0F80, 0x003C), 5: (0x0F80, 0x003C)}, content={4: PASSWORD})
        assert check_mac(chip, 4, PASSWORD, mode).status == 0
        assert not chip.core.temp_key.valid
