"""CheckMac (28): compare a MAC with the one computed here; success authorizes, and can copy a key into TempKey."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import SUCCESS, Command, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_use import count_use, require_symmetric, require_usable
from atcaprov.emulator.mac_rules import (
    FIRST_IS_TEMP_KEY,
    SECOND_IS_TEMP_KEY,
    SOURCE_IS_INPUT,
    require_nonce_for,
    require_temp_key_source,
)
from atcaprov.emulator.refusal import mismatch
from atcaprov.emulator.slot import Slot

_OTP: Final = 0x20
_DATA_SIZE: Final = 32 + 32 + 13


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, _DATA_SIZE)
    require_slot_number(p2)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    core.require_config_locked()
    if p1 & (FIRST_IS_TEMP_KEY | SECOND_IS_TEMP_KEY):
        require_temp_key_source(core, p1, slot=p2, no_mac_allowed=True)
    slot = core.slot(p2)
    if not p1 & FIRST_IS_TEMP_KEY:
        _require_key(core, slot, p1)
    expected = _expected(core, slot, p1, data[:32], data[64:])
    if not compare_digest(expected, data[32:64]):
        if core.switches.checkmac_failure_clears:
            core.volatile.authorized = None
        raise mismatch("the response is not the one expected", slot=p2)
    if not p1 & FIRST_IS_TEMP_KEY:  # a MAC under TempKey proves nothing about the slot's key
        core.volatile.authorized = p2
        _copy(core, slot, p1)
    return SUCCESS


def _require_key(core: Core, slot: Slot, p1: int) -> None:
    require_usable(core, slot)
    require_symmetric(slot)
    require_nonce_for(core, slot, p1)
    count_use(core, slot, Opcode.CHECK_MAC)


def _expected(core: Core, slot: Slot, p1: int, challenge: bytes, other: bytes) -> bytes:
    serial = core.memory.serial
    temp_key = core.temp_key.key
    return sha256(
        b"".join(
            (
                temp_key if p1 & FIRST_IS_TEMP_KEY else slot.secret(),
                temp_key if p1 & SECOND_IS_TEMP_KEY else challenge,
                other[:4],
                bytes(core.memory.otp[:8]) if p1 & _OTP else bytes(8),
                other[4:7],
                serial[8:],
                other[7:11],
                serial[:2],
                other[11:],
            )
        )
    ).digest()


def _copy(core: Core, slot: Slot, p1: int) -> None:
    """Copy a key into TempKey if the mode is 01 or 05, the slot is even, and ReadKey 0 marks the copy's source."""
    if p1 & ~SOURCE_IS_INPUT != SECOND_IS_TEMP_KEY or slot.number % 2:
        return
    partner = core.slot(slot.number + 1)
    if partner.read_key and slot.read_key:
        return
    source = partner if not partner.read_key and core.switches.checkmac_copy == "partner" else slot
    if source.private or source.read_key:
        return
    temp_key = core.temp_key
    key_id = temp_key.key_id
    temp_key.load(source.secret(), from_input=True)
    temp_key.key_id = key_id


COMMAND: Final = Command(Opcode.CHECK_MAC, 0x27, _check, _execute)
