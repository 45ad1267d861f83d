"""The life of TempKey and of the SHA context as the public data sheet of the ATECC508A has it (DS20005927A, 2.5.1,
9.12 and 9.17), and where the ATECC608 differs.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.open_points import OpenPointError, OpenPoints, StrictOpenPoints
from tests.emulator.test_refusals import FIXED, GENERATOR, KEY, PUBLIC, RANDOM, SCALAR, SECRET, STORED, Request
from tests.support.both_chip_types import PART_508A, PART_608A, PARTS, check_mac, chip_of
from tests.support.chips import send

SLOTS: Final = {
    0: KEY,
    4: SECRET,
    7: (0x44C4, 0x003C),  # read and written encrypted under slot 4
    8: (0x0000, 0x003C),  # data in clear
    9: (0x0F0F, PUBLIC),
}
CONTENT: Final = {0: SCALAR, 4: b"4" * 32, 9: STORED}

READ: Final[Request] = (Opcode.READ, 0x80, 0, b"")
OTHERS: Final[dict[str, Request]] = {
    "Counter": (Opcode.COUNTER, 1, 0, b""),
    "ECDH": (Opcode.ECDH, 0, 0, GENERATOR),
    "Lock": (Opcode.LOCK, 2 | 8 << 2, 0, b""),
    "UpdateExtra": (Opcode.UPDATE_EXTRA, 0, 0, b""),
    "Write": (Opcode.WRITE, 0x82, 8 << 3, bytes(32)),
}
ALWAYS_KEPT_BY_608: Final[dict[str, Request]] = {
    "Random": (Opcode.RANDOM, 0, 0, b""),
    "Read": READ,
    "SHA start": (Opcode.SHA, 0, 0, b""),
}
ERRORS: Final[dict[str, Request]] = {
    "an unknown opcode": (0x99, 0, 0, b""),
    "a refused Read": (Opcode.READ, 0x82, 4 << 3, b""),
    "a Nonce of an illegal mode": (Opcode.NONCE, 2, 0, bytes(20)),
    "a refused GenKey": (Opcode.GEN_KEY, 4, 9, b""),
    "a refused GenDig": (Opcode.GEN_DIG, 2, 0, b""),
    "a refused Sign": (Opcode.SIGN, 0x80, 4, b""),
    "a refused MAC": (Opcode.MAC, 1, 4, b""),
    "a MAC of an illegal mode": (Opcode.MAC, 8, 4, bytes(32)),
    "a refused encrypted Read": (Opcode.READ, 0x82, 7 << 3, b""),
    "a refused encrypted Write": (Opcode.WRITE, 0x82, 7 << 3, bytes(64)),
    "a refused DeriveKey": (Opcode.DERIVE_KEY, 4, 4, b""),
    "a refused HMAC, or on the ATECC608 an unknown opcode": (Opcode.HMAC, 0, 4, b""),
}
HARMLESS: Final[dict[str, Request]] = {
    "Info": (Opcode.INFO, 0, 0, b""),
    "Info of an illegal mode": (Opcode.INFO, 3, 0, b""),
    "GenKey of a public key": (Opcode.GEN_KEY, 0, 0, b""),
}
USES: Final[dict[str, Request]] = {
    "MAC": (Opcode.MAC, 5, 4, b""),
    "MAC of a challenge": (Opcode.MAC, 0, 4, bytes(32)),
    "Sign": (Opcode.SIGN, 0x80, 0, b""),
    "Verify": (Opcode.VERIFY, 2, 4, bytes(64) + GENERATOR),
    "CheckMac of TempKey": (Opcode.CHECK_MAC, 5, 4, bytes(77)),
    "CheckMac of a challenge": (Opcode.CHECK_MAC, 0, 4, bytes(77)),
}


def loaded(part: str, rules: OpenPoints | None = None, nonce: Request = FIXED) -> Chip:
    chip = chip_of(part, rules, slots=SLOTS, content=CONTENT)
    assert send(chip, *nonce).body
    return chip


def survives(chip: Chip, request: Request) -> bool:
    """Return whether TempKey is valid, and the same, after a command."""
    before = chip.core.temp_key.key
    send(chip, *request)
    return chip.core.temp_key.valid and chip.core.temp_key.key == before


class TestTempKey:
    """2.5.1, and the commands in chapter 9."""

    @pytest.mark.parametrize("name", OTHERS)
    def test_another_command_ends_it(self, name: str) -> None:
        assert not survives(loaded(PART_508A), OTHERS[name])
        assert survives(loaded(PART_608A), OTHERS[name])
        assert not survives(loaded(PART_608A, OpenPoints(other_commands_clear_temp_key=True)), OTHERS[name])

    @pytest.mark.parametrize("name", ALWAYS_KEPT_BY_608)
    def test_random_read_and_sha_end_it_on_the_508a_alone(self, name: str) -> None:
        other = OpenPoints(other_commands_clear_temp_key=True, errors_clear_temp_key=True)
        assert not survives(loaded(PART_508A), ALWAYS_KEPT_BY_608[name])
        assert survives(loaded(PART_608A), ALWAYS_KEPT_BY_608[name])
        assert survives(loaded(PART_608A, other), ALWAYS_KEPT_BY_608[name])

    @pytest.mark.parametrize("name", ERRORS)
    def test_an_error_ends_it(self, name: str) -> None:
        assert not survives(loaded(PART_508A), ERRORS[name])
        assert survives(loaded(PART_608A), ERRORS[name])
        assert not survives(loaded(PART_608A, OpenPoints(errors_clear_temp_key=True)), ERRORS[name])

    @pytest.mark.parametrize(
        ("name", "request_"),
        [
            ("other_commands_clear_temp_key", OTHERS["Counter"]),
            ("errors_clear_temp_key", ERRORS["an unknown opcode"]),
            ("checkmac_consumes", (Opcode.CHECK_MAC, 6, 4, bytes(77))),
        ],
    )
    def test_a_strict_chip_notices_it(self, name: str, request_: Request) -> None:
        chip = loaded(PART_608A)
        chip.core.open_points = StrictOpenPoints()
        with pytest.raises(OpenPointError) as caught:
            send(chip, *request_)
        assert caught.value.point == name

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("name", HARMLESS)
    def test_info_and_a_public_key_never_change_it(self, name: str, part: str) -> None:
        rules = OpenPoints(other_commands_clear_temp_key=True, errors_clear_temp_key=True)
        assert survives(loaded(part, rules), HARMLESS[name])

    @pytest.mark.parametrize("part", PARTS)
    def test_a_damaged_packet_and_an_ecc_fault_never_change_it(self, part: str) -> None:
        chip = loaded(part, OpenPoints(errors_clear_temp_key=True))
        assert chip.exchange(b"\x07\x02\x80\x00\x00\xff\xff")[1] == 0xFF
        assert chip.core.temp_key.valid
        chip = chip_of(part, OpenPoints(errors_clear_temp_key=True), slots=SLOTS, data_locked=False)
        send(chip, *FIXED)
        assert send(chip, Opcode.PRIV_WRITE, 0, 0, bytes(68)).status == 5  # 0 is not a private key
        assert chip.core.temp_key.valid

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("name", USES)
    def test_a_use_ends_it(self, name: str, part: str) -> None:
        assert not survives(loaded(part), USES[name])

    @pytest.mark.parametrize(
        ("part", "rules", "used"),
        [
            (PART_508A, OpenPoints(checkmac_consumes=False), True),
            (PART_608A, None, True),
            (PART_608A, OpenPoints(checkmac_consumes=False), False),
        ],
    )
    def test_check_mac_ends_it_unless_it_copied_a_key(self, part: str, rules: OpenPoints | None, used: bool) -> None:
        copied = {4: SECRET, 5: (0x0F80, 0x003C)}
        for slots, stays in ((SLOTS, not used), (SLOTS | copied, True)):
            chip = chip_of(part, rules, slots=slots, content=CONTENT | {5: b"5" * 32})
            send(chip, *RANDOM)
            assert check_mac(chip, 4, b"4" * 32).status == 0
            assert chip.core.temp_key.valid is stays
        assert chip.core.temp_key.key == b"5" * 32

    def test_the_608_keeps_it_while_it_signs_from_another_buffer(self) -> None:
        chip = loaded(PART_608A, OpenPoints(other_commands_clear_temp_key=True, errors_clear_temp_key=True))
        assert survives(chip, (Opcode.NONCE, 0x43, 0, bytes(32)))
        assert survives(chip, (Opcode.SIGN, 0xA0, 0, b""))
        assert survives(chip, (Opcode.VERIFY, 0x22, 4, bytes(64) + GENERATOR))

    @pytest.mark.parametrize("part", PARTS)
    @pytest.mark.parametrize("first", [FIXED, RANDOM])
    @pytest.mark.parametrize("mixed", [True, False])
    def test_a_nonce_from_itself_keeps_its_flags(self, part: str, first: Request, mixed: bool) -> None:
        """9.12; the ATECC608 sets SourceFlag to Rand."""
        chip = loaded(part, nonce=first)
        if mixed:
            assert send(chip, Opcode.GEN_DIG, 2, 4).status == 0
        old, flags = chip.core.temp_key.key, chip.core.temp_key.flags()
        answer = send(chip, Opcode.NONCE, 1, 0x8000, bytes(20)).body
        assert answer == chip.core.temp_key.key == sha256(old + bytes(20) + b"\x16\x01\x00").digest()
        assert chip.core.temp_key.flags() == (flags if part == PART_508A else flags & ~0x10)

    @pytest.mark.parametrize("part", PARTS)
    def test_a_nonce_from_itself_needs_it(self, part: str) -> None:
        """9.12."""
        assert send(chip_of(part), Opcode.NONCE, 1, 0x8000, bytes(20)).status == 0x0F


class TestShaContext:
    """9.17: on the ATECC508A it lies in TempKey, on the ATECC608 it has a place of its own."""

    @pytest.mark.parametrize(("part", "stays"), [(PART_508A, False), (PART_608A, True)])
    @pytest.mark.parametrize("between", [*OTHERS.values(), *ERRORS.values(), (Opcode.INFO, 0, 0, b""), READ])
    def test_another_command_or_an_error_ends_it(self, part: str, stays: bool, between: Request) -> None:
        chip = chip_of(part, slots=SLOTS, content=CONTENT)
        assert send(chip, Opcode.SHA, 0).status == 0
        send(chip, *between)
        answer = send(chip, Opcode.SHA, 2).body
        assert answer == (sha256().digest() if stays else b"\x0f")

    @pytest.mark.parametrize("part", PARTS)
    def test_a_damaged_packet_and_idle_do_not_end_it(self, part: str) -> None:
        chip = chip_of(part)
        send(chip, Opcode.SHA, 0)
        assert chip.exchange(b"\x07\x02" + bytes(4) + b"\xff")[1] == 0xFF
        chip.idle()
        assert send(chip, Opcode.SHA, 2).body == sha256().digest()
        assert chip.core.temp_key.key == sha256().digest()
