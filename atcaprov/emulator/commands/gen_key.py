"""GenKey (40): a new private key, the public key of a private one, and digests of public keys into TempKey."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.commands import TEMP_KEY_SLOT, Opcode
from atcaprov.chip.memory_map import KEY_TYPE_P256
from atcaprov.emulator.command import SUCCESS, CommandSpec, require_length, require_slot_number
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import (
    obeys_key_config,
    require_authorized,
    require_key_type,
    require_public_key_slot,
    require_secret,
)
from atcaprov.emulator.refusal import denied, illegal
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.temp_key_rules import require_random_temp_key

_CREATE: Final = 0x04
_DIGEST: Final = 0x08
_STORED_DIGEST: Final = 0x10
_OTHER_DATA_SIZE: Final = 3
_WRITE_CONFIG_GEN_KEY: Final = 0b0010


def _check(p1: int, p2: int, length: int) -> None:
    require_length(length, _OTHER_DATA_SIZE) if p1 & _STORED_DIGEST else require_length(length, 0, _OTHER_DATA_SIZE)
    if p2 != TEMP_KEY_SLOT or p1 != _CREATE:
        require_slot_number(p2)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    if p1 & _STORED_DIGEST:
        p1 = _stored_digest_mode(core, p1)
    core.require_config_locked()
    if p2 == TEMP_KEY_SLOT:
        return _create_in_temp_key(core)
    slot = core.slot(p2)
    if p1 & (_DIGEST | _STORED_DIGEST):
        _require_digest_ready(core, slot)
    if p1 == _STORED_DIGEST:
        _digest_public_key(core, slot, data, _stored_public_key(core, slot))
        return SUCCESS
    public_key = _create(core, slot) if p1 & _CREATE else _public_key(core, slot)
    if p1 & _DIGEST:
        _digest_public_key(core, slot, bytes((p1,)) + p2.to_bytes(2, "little"), public_key)
    return public_key


def _stored_digest_mode(core: Core, p1: int) -> int:
    if p1 != _STORED_DIGEST and core.rules.gen_key_digest_bits == "refuse":
        raise illegal(f"GenKey has no mode {p1:02X}")
    return _STORED_DIGEST


def _create_in_temp_key(core: Core) -> bytes:
    scalar, public_key = core.new_key_pair()
    core.temp_key.load(scalar, from_input=False)
    return public_key


def _create(core: Core, slot: MemorySlot) -> bytes:
    _require_private(core, slot)
    if not slot.unlocked:
        raise denied("the slot is locked", slot=slot.number, bit="SlotLocked")
    if core.memory.data_locked and not slot.write_config & _WRITE_CONFIG_GEN_KEY:
        raise denied("no new key after the data lock", slot=slot.number, bit="SlotConfig.WriteConfig bit 13")
    require_authorized(core, slot)
    scalar, public_key = core.new_key_pair()
    slot.store_private_key(scalar)
    return public_key


def _public_key(core: Core, slot: MemorySlot) -> bytes:
    _require_private(core, slot)
    if not slot.pub_info and obeys_key_config(core):
        raise denied("the public key may not be generated", slot=slot.number, bit="KeyConfig.PubInfo")
    require_authorized(core, slot)
    public_key = slot.public_half()
    if public_key is None:
        raise denied("the slot holds no valid private key yet", slot=slot.number)
    return public_key


def _require_private(core: Core, slot: MemorySlot) -> None:
    if not slot.private:
        raise denied("the slot is not for private keys", slot=slot.number, bit="KeyConfig.Private")
    require_key_type(core, slot, KEY_TYPE_P256)
    require_secret(slot)


def _stored_public_key(core: Core, slot: MemorySlot) -> bytes:
    require_public_key_slot(core, slot)
    require_authorized(core, slot)
    return slot.public_key()


def _require_digest_ready(core: Core, slot: MemorySlot) -> None:
    if not core.temp_key.valid:
        raise denied("TempKey is not valid", slot=slot.number)
    require_random_temp_key(core, slot)


def _digest_public_key(core: Core, slot: MemorySlot, parameters: bytes, public_key: bytes) -> None:
    """TempKey := SHA-256(TempKey | 40 | parameters | SN[8] | SN[0:2] | 25 zero bytes | X | Y)."""
    temp_key = core.temp_key
    serial = core.memory.serial
    header = bytes((Opcode.GEN_KEY,)) + parameters + serial[8:] + serial[:2]
    temp_key.digest(sha256(temp_key.key + header + bytes(25) + public_key).digest())
    temp_key.gen_key, temp_key.gen_dig = True, False
    temp_key.key_id = slot.number


def _check_508(p1: int, p2: int, length: int) -> None:
    _check(p1, p2, length)
    require_slot_number(p2)  # the ATECC508A makes no key in TempKey


COMMAND: Final = CommandSpec(Opcode.GEN_KEY, 0x1C, _check, _execute)
COMMAND_508: Final = CommandSpec(Opcode.GEN_KEY, 0x1C, _check_508, _execute)
