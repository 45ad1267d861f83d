"""GenDig (15): mix memory, a counter, a configuration or a shared nonce into TempKey."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import BLOCK_SIZE, CONFIG_SIZE, OTP_SIZE
from atcaprov.emulator.command import (
    SUCCESS,
    CommandSpec,
    command_header,
    require_length,
    require_p2,
    require_slot_number,
)
from atcaprov.emulator.core import Core
from atcaprov.emulator.counters import read_counter
from atcaprov.emulator.key_rules import count_use, require_symmetric, require_usable
from atcaprov.emulator.refusal import Refusal, denied, illegal
from atcaprov.emulator.temp_key_rules import require_random_temp_key

_CONFIG: Final = 0
_OTP: Final = 1
_DATA: Final = 2
_SHARED_NONCE: Final = 3
_COUNTER: Final = 4
_KEY_CONFIG: Final = 5
_SWAP: Final = 0x8000
_OTHER_DATA_SIZE: Final = 4


def _check(p1: int, p2: int, length: int) -> None:
    if p1 > _KEY_CONFIG:
        raise illegal(f"GenDig has no mode {p1}")
    if p1 == _SHARED_NONCE:
        require_length(length, 32)
    elif p1 == _DATA:
        require_length(length, 0, _OTHER_DATA_SIZE)
    else:
        require_length(length, 0)
    if p1 in (_DATA, _KEY_CONFIG):
        require_slot_number(p2)
    elif p1 == _COUNTER:
        require_p2(p2, 0, 1)


def _has_no_data(core: Core, p1: int, p2: int) -> bool:
    """Only a shared nonce and a NoMac key have data. On the ATECC608 a key takes 0 or 4 bytes (TNGTLS, 5.3.3.3)."""
    if p1 == _DATA:
        return core.memory.is_508 and not core.slot(p2).no_mac
    return p1 != _SHARED_NONCE


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    if p1 == _DATA or not core.open_points.gendig_before_lock:
        core.require_config_locked()
    if not core.temp_key.valid:
        raise denied("TempKey is not valid")
    if p1 == _DATA:
        _mix_slot(core, p2, data)
    else:
        _mix(core, _message(core, p1, p2, data))
    return SUCCESS


def _mix_slot(core: Core, key_id: int, other_data: bytes) -> None:
    slot = core.slot(key_id)
    require_usable(core, slot)
    require_symmetric(slot)
    require_random_temp_key(core, slot)
    if slot.no_mac and not other_data:
        raise denied("a key for verification only needs OtherData", slot=slot.number, bit="SlotConfig.NoMac")
    header = command_header(core, Opcode.GEN_DIG, _DATA, key_id)
    if slot.no_mac:
        header = other_data + header[4:]
    count_use(core, slot, Opcode.GEN_DIG)
    temp_key = core.temp_key
    _mix(core, slot.secret() + header + bytes(25) + temp_key.key)
    temp_key.gen_dig, temp_key.key_id = True, slot.number
    temp_key.no_mac = temp_key.no_mac or slot.no_mac


def _mix(core: Core, message: bytes) -> None:
    temp_key = core.temp_key
    temp_key.digest(sha256(message).digest())
    temp_key.gen_dig = temp_key.gen_key = False
    temp_key.key_id = 0


def _message(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    temp_key = core.temp_key.key
    header = command_header(core, Opcode.GEN_DIG, p1, p2)
    if p1 == _SHARED_NONCE:
        first, last = (temp_key, data) if p2 & _SWAP else (data, temp_key)
        return first + command_header(core, Opcode.GEN_DIG, p1, p2 & 0xFF) + bytes(25) + last
    if p1 == _COUNTER:
        value = read_counter(core.memory, p2).to_bytes(4, "little")
        return bytes(32) + header + b"\0" + value + bytes(20) + temp_key
    if p1 == _KEY_CONFIG:
        slot = core.slot(p2)
        words = slot.slot_config.to_bytes(2, "little") + slot.key_config.to_bytes(2, "little")
        return bytes(32) + header + b"\0" + words + bytes((slot.unlocked,)) + bytes(19) + temp_key
    return _block(core, p1, p2) + header + bytes(25) + temp_key


def _block(core: Core, p1: int, p2: int) -> bytes:
    zone, size = (core.memory.config, CONFIG_SIZE) if p1 == _CONFIG else (core.memory.otp, OTP_SIZE)
    if p2 * BLOCK_SIZE >= size:
        raise Refusal(core.open_points.bad_block_code, "the block is outside the zone")
    return bytes(zone[p2 * BLOCK_SIZE : (p2 + 1) * BLOCK_SIZE])


COMMAND: Final = CommandSpec(Opcode.GEN_DIG, 0x07, _check, _execute, _has_no_data)
