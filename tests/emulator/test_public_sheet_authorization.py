"""Authorization as the public data sheet of the ATECC508A has it (DS20005927A, 2.2.5, 3.2.9, 9.2, 9.20)."""

from __future__ import annotations

import pytest

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.switches import OpenPointError, StrictSwitches, Switches
from tests.emulator.test_refusals import RANDOM, SCALAR, SECRET
from tests.support.both_parts import PART_508A, PART_608A, authorize, chip_of
from tests.support.chips import Reply, send

PASSWORD = b"p" * 32
ONE, MANY = Switches(authorization_uses="one"), Switches(authorization_uses="many")
SLOTS = {
    0: (0x278F, 0x05B3),  # a private key, ReqAuth by slot 5
    4: (0x0F8F, 0x05BC),  # a secret, ReqAuth by slot 5
    5: SECRET,
    9: (0x0F0F, 0x05B0),  # a public key, ReqAuth by slot 5
}


def locked_chip(part: str, rules: Switches) -> Chip:
    return chip_of(part, rules, slots=SLOTS, content={0: SCALAR, 5: PASSWORD})


def sign(chip: Chip) -> Reply:
    send(chip, Opcode.NONCE, 3, 0, bytes(32))
    return send(chip, Opcode.SIGN, 0x80, 0)


class TestOneUse:
    """2.2.5, 3.2.9: any command that uses a key with ReqAuth ends the authorization."""

    @pytest.mark.parametrize(
        ("part", "rules", "uses"), [(PART_508A, MANY, 1), (PART_608A, ONE, 1), (PART_608A, MANY, 3)]
    )
    def test_signatures_behind_one_check_mac(self, part: str, rules: Switches, uses: int) -> None:
        chip = locked_chip(part, rules)
        assert authorize(chip, 5, PASSWORD) == 0
        granted = [len(sign(chip).body) == 64 for _ in range(3)]
        assert granted == [True] * uses + [False] * (3 - uses)

    def test_a_strict_chip_notices_it(self) -> None:
        chip = locked_chip(PART_608A, Switches())
        assert authorize(chip, 5, PASSWORD) == 0
        send(chip, *RANDOM)
        chip.core.switches = StrictSwitches()
        with pytest.raises(OpenPointError) as caught:
            send(chip, Opcode.SIGN, 0x80, 0)
        assert caught.value.switch == "authorization_uses"
