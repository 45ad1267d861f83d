"""Lock (17): configuration zone, data and OTP zone, or one slot; permanently."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import LOCK_CONFIG, LOCK_DATA, LOCK_NO_CRC, LOCK_SLOT, Opcode
from atcaprov.chip.crc import crc16
from atcaprov.chip.memory_map import LOCK_CONFIG as LOCK_CONFIG_BYTE
from atcaprov.chip.memory_map import LOCK_VALUE, LOCKED, RESERVED_608, SLOT_COUNT, SLOT_LOCKED
from atcaprov.emulator.command import SUCCESS, CommandSpec, data_never_count, require_length
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied, illegal

_WHAT: Final = 0x03


def _check(p1: int, _p2: int, length: int) -> None:
    require_length(length, 0)
    what = p1 & _WHAT
    if what not in (LOCK_CONFIG, LOCK_DATA, LOCK_SLOT):
        raise illegal("Lock has no mode 3")
    if what != LOCK_SLOT and p1 & ~(_WHAT | LOCK_NO_CRC):
        raise illegal("only a slot lock has a slot number")


def _execute(core: Core, p1: int, p2: int, _data: bytes) -> bytes:
    what = p1 & _WHAT
    if what == LOCK_SLOT:
        _lock_slot(core, p1 >> 2 & 0x0F)
    elif what == LOCK_CONFIG:
        _lock_config(core, None if p1 & LOCK_NO_CRC else p2)
    else:
        _lock_data(core, None if p1 & LOCK_NO_CRC else p2)
    return SUCCESS


def _lock_config(core: Core, crc: int | None) -> None:
    memory = core.memory
    if memory.config_locked:
        raise denied("the configuration zone is locked already", bit="LockConfig")
    if crc is not None and crc != crc16(bytes(memory.config)):
        raise denied("the CRC does not fit the configuration zone")
    if not memory.is_508 and any(memory.config[RESERVED_608]) and core.open_points.lock_reserved_bytes == "refuse":
        raise denied("reserved bytes 75 to 83 are not 0")
    memory.config[LOCK_CONFIG_BYTE] = LOCKED


def _lock_data(core: Core, crc: int | None) -> None:
    memory = core.memory
    core.require_config_locked()
    if memory.data_locked:
        raise denied("the data and OTP zones are locked already", bit="LockValue")
    if crc is not None and crc != data_crc(core):
        raise denied("the CRC does not fit the data and OTP zones")
    memory.config[LOCK_VALUE] = LOCKED


def data_crc(core: Core) -> int:
    """Return the summary CRC of the data lock: slots in order without those of private keys, then OTP."""
    slots = [core.slot(number) for number in range(SLOT_COUNT)]
    private_too = any(slot.private for slot in slots) and core.rules.data_crc_private
    content = b"".join(slot.read(0, slot.size) for slot in slots if private_too or not slot.private)
    return crc16(content + core.memory.otp)


def _lock_slot(core: Core, number: int) -> None:
    core.require_config_locked()
    slot = core.slot(number)
    if not slot.lockable:
        raise denied("the slot cannot be locked", slot=number, bit="KeyConfig.Lockable")
    if not slot.unlocked:
        raise denied("the slot is locked already", slot=number, bit="SlotLocked")
    core.memory.config[SLOT_LOCKED.start + (number >> 3)] &= ~(1 << (number & 7)) & 0xFF


COMMAND: Final = CommandSpec(Opcode.LOCK, 0xBF, _check, _execute, data_never_count)
