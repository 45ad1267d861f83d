"""Read (02): 4 or 32 bytes of a zone, in clear or encrypted with TempKey."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import P1_32_BYTES, Opcode, Zone
from atcaprov.emulator.address import ZONE_BITS, Address, check_address, locate
from atcaprov.emulator.command import CommandSpec, require_length, xor
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied
from atcaprov.emulator.slot import MemorySlot
from atcaprov.emulator.temp_key_rules import require_read_key


def _check(p1: int, p2: int, length: int) -> None:
    require_length(length, 0)
    check_address(p1, p2)


def _execute(core: Core, p1: int, p2: int, _data: bytes) -> bytes:
    zone = p1 & ZONE_BITS
    address = locate(core, p1, p2)
    end = address.offset + address.size
    if zone == Zone.CONFIG:
        return bytes(core.memory.config[address.offset : end])
    if not core.memory.data_locked:
        raise denied("the data and OTP zones cannot be read before they are locked", slot=address.slot, bit="LockValue")
    if address.slot is None:
        return bytes(core.memory.otp[address.offset : end])
    return _read_slot(core, core.slot(address.slot), address, wide=bool(p1 & P1_32_BYTES))


def _read_slot(core: Core, slot: MemorySlot, address: Address, *, wide: bool) -> bytes:
    if slot.private:
        raise denied("a private key is never readable", slot=slot.number, bit="KeyConfig.Private")
    if not slot.is_secret and not slot.encrypt_read:
        return _content(core, slot, address)
    if not slot.encrypt_read:
        raise denied("the slot is secret", slot=slot.number, bit="SlotConfig.IsSecret")
    if not slot.is_secret:
        raise denied("EncryptRead without IsSecret prohibits every read", slot=slot.number, bit="SlotConfig.IsSecret")
    if not wide:
        raise denied("a secret slot is read 32 bytes at a time", slot=slot.number, bit="SlotConfig.IsSecret")
    return _read_encrypted(core, slot, address)


def _read_encrypted(core: Core, slot: MemorySlot, address: Address) -> bytes:
    key = require_read_key(core, slot.number, slot.read_key)
    return xor(_content(core, slot, address), key)


def _content(core: Core, slot: MemorySlot, address: Address) -> bytes:
    """Return the bytes of the slot; those beyond its end are filled up, before any encryption."""
    slot.require_known()
    content = slot.read(address.offset, address.size)
    if len(content) < address.size:
        content = content.ljust(address.size, bytes((core.rules.partial_block_fill,)))
    return content


COMMAND: Final = CommandSpec(Opcode.READ, 0x83, _check, _execute)
