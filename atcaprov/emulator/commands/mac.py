"""MAC (08): SHA-256 over a slot's key and a challenge, to prove the key."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.command import OTP_64, OTP_88, CommandSpec, otp_and_serial, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import count_use, require_open_use, require_symmetric, require_usable
from atcaprov.emulator.refusal import denied, illegal
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.temp_key_rules import (
    FIRST_IS_TEMP_KEY,
    SECOND_IS_TEMP_KEY,
    require_nonce_for,
    require_temp_key_source,
)

_CHALLENGE_SIZE: Final = 32


def _check(p1: int, p2: int, length: int) -> None:
    require_slot_number(p2)
    require_length(length, 0 if p1 & SECOND_IS_TEMP_KEY else _CHALLENGE_SIZE)


def _has_no_data(_core: Core, p1: int, _p2: int) -> bool:
    return bool(p1 & SECOND_IS_TEMP_KEY)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    if p1 & (OTP_88 | OTP_64) and core.rules.mac_otp_fields == "refuse":
        raise illegal("bits 4 and 5 of P1 must be 0")
    core.require_config_locked()
    slot = core.slot(p2)
    if p1 & (FIRST_IS_TEMP_KEY | SECOND_IS_TEMP_KEY):
        require_temp_key_source(core, p1, slot=slot.number)
    first = core.temp_key.key if p1 & FIRST_IS_TEMP_KEY else _slot_key(core, p1, slot)
    second = core.temp_key.key if p1 & SECOND_IS_TEMP_KEY else data
    header = bytes((Opcode.MAC, p1)) + p2.to_bytes(2, "little")
    return sha256(first + second + header + otp_and_serial(core, p1)).digest()


def _slot_key(core: Core, p1: int, slot: MemorySlot) -> bytes:
    require_usable(core, slot)
    require_open_use(core, slot)
    require_symmetric(slot)
    if slot.no_mac:
        raise denied("the key is for verification only", slot=slot.number, bit="SlotConfig.NoMac")
    require_nonce_for(core, slot, p1)
    count_use(core, slot, Opcode.MAC)
    return slot.secret()


COMMAND: Final = CommandSpec(Opcode.MAC, 0x77, _check, _execute, _has_no_data)
