"""HMAC (11), ATECC508A only: HMAC-SHA-256 under a slot's key over TempKey."""

from __future__ import annotations

import hmac
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import CommandSpec, otp_and_serial, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import (
    count_use,
    require_open_use,
    require_symmetric,
    require_usable,
)
from atcaprov.emulator.refusal import denied
from atcaprov.emulator.temp_key_rules import require_random_temp_key, require_temp_key_source


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    require_slot_number(p2)


def _execute(core: Core, p1: int, p2: int, _data: bytes) -> bytes:
    slot = core.slot(p2)
    require_usable(core, slot)
    require_open_use(core, slot)
    require_symmetric(slot)
    if slot.no_mac:
        raise denied("the key is for verification only", slot=slot.number, bit="SlotConfig.NoMac")
    require_temp_key_source(core, p1, slot=slot.number)
    require_random_temp_key(core, slot)
    count_use(core, slot, Opcode.HMAC)
    header = bytes((Opcode.HMAC, p1)) + p2.to_bytes(2, "little")
    return hmac.digest(slot.secret(), bytes(32) + core.temp_key.key + header + otp_and_serial(core, p1), "sha256")


# The vendor's unit test sends bit 1 and expects an answer: the bit has no meaning, but is hashed with the rest of P1.
# Bits 4 and 5 are 0: the ATECC508A has no OTP fields (DS20005927A section 9.8; the vendor's test hmac leaves them out).
COMMAND: Final = CommandSpec(Opcode.HMAC, 0x46, _check, _execute)
