"""CheckMac (28): compare a MAC with the one computed here.

Success over a nonce in TempKey (modes 01 and 05) authorizes, and can copy a key into TempKey.
"""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import SUCCESS, CommandSpec, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import (
    count_use,
    end_authorization_by_failure,
    require_symmetric,
    require_usable,
)
from atcaprov.emulator.refusal import mismatch
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.temp_key_rules import (
    FIRST_IS_TEMP_KEY,
    SECOND_IS_TEMP_KEY,
    require_nonce_for,
    require_temp_key_source,
)

_BLOCKS: Final = FIRST_IS_TEMP_KEY | SECOND_IS_TEMP_KEY
_DATA_SIZE: Final = 32 + 32 + 13


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, _DATA_SIZE)
    require_slot_number(p2)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    core.require_config_locked()
    slot = core.slot(p2)
    if p1 & (FIRST_IS_TEMP_KEY | SECOND_IS_TEMP_KEY):
        require_temp_key_source(core, p1, slot=slot.number, no_mac_allowed=True)
    if not p1 & FIRST_IS_TEMP_KEY:
        _require_key(core, slot, p1)
    expected = _expected(core, slot, p1, data[:32], data[64:])
    if not compare_digest(expected, data[32:64]):
        end_authorization_by_failure(core)
        raise mismatch("the response is not the expected one", slot=slot.number)
    over_nonce = p1 & _BLOCKS == SECOND_IS_TEMP_KEY
    # A MAC under TempKey does not prove the slot's key.
    if over_nonce or (not p1 & FIRST_IS_TEMP_KEY and core.rules.checkmac_challenge_authorizes):
        core.volatile.authorized = slot.number
    if over_nonce:
        _copy(core, slot)
    return SUCCESS


def _require_key(core: Core, slot: MemorySlot, p1: int) -> None:
    require_usable(core, slot)
    require_symmetric(slot)
    require_nonce_for(core, slot, p1)
    count_use(core, slot, Opcode.CHECK_MAC)


def _expected(core: Core, slot: MemorySlot, p1: int, challenge: bytes, other: bytes) -> bytes:
    serial = core.memory.serial
    temp_key = core.temp_key.key
    return sha256(
        b"".join(
            (
                temp_key if p1 & FIRST_IS_TEMP_KEY else slot.secret(),
                temp_key if p1 & SECOND_IS_TEMP_KEY else challenge,
                other[:4],
                bytes(8),  # the place of OTP[0:8] in the ATSHA204A
                other[4:7],
                serial[8:],
                other[7:11],
                serial[:2],
                other[11:],
            )
        )
    ).digest()


def _copy(core: Core, slot: MemorySlot) -> None:
    """Copy the key that belongs to the slot into TempKey, if its ReadKey is 0, which allows copies."""
    source = _copy_source(core, slot)
    if source is None or source.private or source.read_key:
        return
    temp_key = core.temp_key
    key_id = temp_key.key_id
    temp_key.load(source.secret(), from_input=True)
    temp_key.key_id = key_id


def _copy_source(core: Core, slot: MemorySlot) -> MemorySlot | None:
    odd = core.slot(slot.number | 1)
    if slot.read_key and odd.read_key:
        return None
    choice = core.rules.checkmac_copy
    if choice == "odd-slot":
        return odd
    if slot.number % 2:
        return None
    return odd if choice == "partner" and not odd.read_key else slot


COMMAND: Final = CommandSpec(Opcode.CHECK_MAC, 0x07, _check, _execute)
