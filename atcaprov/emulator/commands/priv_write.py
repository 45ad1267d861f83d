"""PrivWrite (46): a private key from outside, in clear before the data lock, else encrypted under WriteKey."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from atcaprov.chip.commands import P1_ENCRYPTED, Opcode
from atcaprov.chip.memory_map import KEY_TYPE_P256
from atcaprov.emulator import ecc
from atcaprov.emulator.command import SUCCESS, CommandSpec, command_header, require_length, require_slot_number, xor
from atcaprov.emulator.core import Core
from atcaprov.emulator.key_rules import require_key_type, require_secret
from atcaprov.emulator.refusal import Refusal, denied
from atcaprov.emulator.slot import PRIVATE_KEY_SIZE, MemorySlot
from atcaprov.emulator.temp_key_rules import require_write_key, use_write_key_up

_MAC_SIZE: Final = 32
_PAD_SIZE: Final = 4
_WRITE_CONFIG_ENCRYPTED: Final = 0b0100


def _check(_p1: int, p2: int, length: int) -> None:
    require_length(length, PRIVATE_KEY_SIZE + _MAC_SIZE)
    require_slot_number(p2)


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    core.require_config_locked()
    slot = core.slot(p2)
    _require_writable(core, slot, p1)
    content = data[:PRIVATE_KEY_SIZE]
    if p1 & P1_ENCRYPTED:
        content = _decrypt(core, slot, p2, content, data[PRIVATE_KEY_SIZE:])
    # The pad is not checked: the vendor's unit test sends arbitrary bytes there, and succeeds.
    if not ecc.is_scalar(content[_PAD_SIZE:]):
        raise Refusal(core.open_points.privwrite_range_code, "the bytes are not a private key", slot=slot.number)
    slot.store_private_key(content[_PAD_SIZE:])
    if p1 & P1_ENCRYPTED:
        use_write_key_up(core)
    return SUCCESS


def _require_writable(core: Core, slot: MemorySlot, p1: int) -> None:
    if not slot.private:
        raise denied("the slot is not for private keys", slot=slot.number, bit="KeyConfig.Private")
    require_key_type(core, slot, KEY_TYPE_P256)
    require_secret(slot)
    if not slot.unlocked:
        raise denied("the slot is locked", slot=slot.number, bit="SlotLocked")
    # ReqAuth and ReqRandom of the slot do not matter here (DS20005927A section 9.14).
    if not core.memory.data_locked:
        return
    if not p1 & P1_ENCRYPTED:
        raise denied("after the data lock a private key must come encrypted", slot=slot.number, bit="LockValue")
    if not slot.write_config & _WRITE_CONFIG_ENCRYPTED:
        raise denied("no PrivWrite after the data lock", slot=slot.number, bit="SlotConfig.WriteConfig bit 14")


def _decrypt(core: Core, slot: MemorySlot, key_id: int, cipher: bytes, mac: bytes) -> bytes:
    key = require_write_key(core, slot.number, slot.write_key)
    plain = xor(cipher, key + sha256(key).digest()[:_PAD_SIZE])
    header = command_header(core, Opcode.PRIV_WRITE, P1_ENCRYPTED, key_id)
    if not compare_digest(sha256(key + header + bytes(21) + plain).digest(), mac):
        raise denied("the MAC of the encrypted write is wrong", slot=slot.number)
    return plain


COMMAND: Final = CommandSpec(Opcode.PRIV_WRITE, 0x40, _check, _execute)
