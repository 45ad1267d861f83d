"""Write (12): 4 or 32 bytes into a zone, in clear, or 32 bytes encrypted under the slot's WriteKey."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from atcaprov.chip.commands import P1_32_BYTES, P1_ENCRYPTED, Opcode, Zone
from atcaprov.chip.memory_map import BLOCK_SIZE, COUNT_MATCH, USER_EXTRA, WORD_SIZE
from atcaprov.emulator.address import ZONE_BITS, Address, check_address, locate
from atcaprov.emulator.command import SUCCESS, CommandSpec, command_header, require_length, xor
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import denied, illegal
from atcaprov.emulator.slot import INVALIDATED, MemorySlot
from atcaprov.emulator.temp_key_rules import require_write_key, use_write_key_up

_MAC_SIZE: Final = 32
_READ_ONLY_CONFIG: Final = 16
_WRITE_ALWAYS: Final = 0b0000
_WRITE_PUB_INVALID: Final = 0b0001
_WRITE_ENCRYPTED: Final = 0b0100
_OTP_CONSUMPTION: Final = 0x55
"""OTPmode of the ATECC508A, where the ATECC608 has CountMatch."""


def _check(p1: int, p2: int, length: int) -> None:
    check_address(p1, p2)
    plain = _plain_size(p1)
    if p1 & ZONE_BITS == Zone.CONFIG:
        require_length(length, plain + _MAC_SIZE if p1 & P1_ENCRYPTED else plain)
    else:  # SlotConfig may ask for encryption, or the MAC may be ignored
        require_length(length, plain, plain + _MAC_SIZE)


def _plain_size(p1: int) -> int:
    return BLOCK_SIZE if p1 & P1_32_BYTES else WORD_SIZE


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    zone = p1 & ZONE_BITS
    address = locate(core, p1, p2)
    if zone == Zone.CONFIG:
        _write_config(core, address, p1, data)
        return SUCCESS
    core.require_config_locked()
    if address.slot is None:
        _write_otp(core, address, p1, p2, data)
        return SUCCESS
    slot = core.slot(address.slot)
    if slot.private:
        raise denied("a private key is written by PrivWrite only", slot=slot.number, bit="KeyConfig.Private")
    if not slot.unlocked:
        raise denied("the slot is locked", slot=slot.number, bit="SlotLocked")
    encrypted = _obey_write_config(slot, p1, data) if core.memory.data_locked else _obey_p1(core, slot, p1, data)
    plain = _decrypt(core, slot, p1, p2, data) if encrypted else data[:BLOCK_SIZE]
    slot.write(address.offset, plain)
    if slot.needs_validation:
        slot.mark(INVALIDATED)
    return SUCCESS


def _write_config(core: Core, address: Address, p1: int, data: bytes) -> None:
    if core.memory.config_locked:
        raise denied("the configuration zone is locked", bit="LockConfig")
    if p1 & P1_ENCRYPTED:
        raise denied("the configuration zone takes clear writes only")
    end = address.offset + address.size
    if address.offset < _READ_ONLY_CONFIG or address.offset <= USER_EXTRA < end:
        raise denied("bytes 0 to 15 and 84 to 87 cannot be written")
    core.memory.config[address.offset : end] = data


def _write_otp(core: Core, address: Address, p1: int, p2: int, data: bytes) -> None:
    if not core.memory.data_locked:
        encrypted = _obey_p1(core, None, p1, data)
        if encrypted and not core.rules.data_open_otp_encrypted:
            raise denied("the OTP zone takes clear writes only", bit="LockValue")
        plain = _decrypt(core, None, p1, p2, data) if encrypted else data[:BLOCK_SIZE]
        core.memory.otp[address.offset : address.offset + address.size] = plain
    elif not p1 & P1_ENCRYPTED and len(data) == _plain_size(p1) and _consumes_otp(core):
        _clear_otp_bits(core, address, data)
    else:
        raise denied("the OTP zone is locked", bit="LockValue")


def _consumes_otp(core: Core) -> bool:
    return core.memory.is_508 and core.memory.config[COUNT_MATCH] == _OTP_CONSUMPTION


def _clear_otp_bits(core: Core, address: Address, data: bytes) -> None:
    """Consumption mode: bits go from 1 to 0 only."""
    place = slice(address.offset, address.offset + address.size)
    core.memory.otp[place] = bytes(old & new for old, new in zip(core.memory.otp[place], data, strict=True))


def _obey_p1(core: Core, slot: MemorySlot | None, p1: int, data: bytes) -> bool:
    """Before the data lock return what bit 6 of P1 says, whether the data are encrypted.

    A MAC after data in clear is ignored: a real ATECC508A stored the cipher text (Coldcard/firmware,
    misc/obsolete-code/secel.py; DS20005927A, 9.21.1).
    """
    encrypted, has_mac = bool(p1 & P1_ENCRYPTED), len(data) > _plain_size(p1)
    if encrypted is not has_mac and (encrypted or core.rules.data_open_clear_with_mac == "refuse"):
        raise illegal("bit 6 of P1 and the MAC contradict each other")
    if not p1 & P1_32_BYTES:
        number = None if slot is None else slot.number
        raise denied("before the data lock 32 bytes are written at a time", slot=number, bit="LockValue")
    return encrypted


def _obey_write_config(slot: MemorySlot, p1: int, data: bytes) -> bool:
    """After the data lock refuse what SlotConfig.WriteConfig does not allow; return whether the data are encrypted.

    Bit 14 of SlotConfig decides on that; bit 6 of P1 is ignored (DS20005927A section 9.21.1).
    """
    write_config, wide = slot.write_config, bool(p1 & P1_32_BYTES)
    has_mac = len(data) > _plain_size(p1)
    if slot.is_secret and not wide:
        raise denied("a secret slot is written 32 bytes at a time", slot=slot.number, bit="SlotConfig.IsSecret")
    if write_config & _WRITE_ENCRYPTED:
        if not has_mac or not wide:
            raise denied("the slot takes encrypted writes only", slot=slot.number, bit="SlotConfig.WriteConfig")
        return True
    if has_mac:
        raise denied("the slot takes no encrypted writes", slot=slot.number, bit="SlotConfig.WriteConfig")
    if write_config == _WRITE_PUB_INVALID and slot.needs_validation and slot.validated:
        raise denied("the slot's public key is validated", slot=slot.number, bit="SlotConfig.WriteConfig")
    if write_config not in ((_WRITE_ALWAYS, _WRITE_PUB_INVALID) if wide else (_WRITE_ALWAYS,)):
        raise denied("the slot is never written in this way", slot=slot.number, bit="SlotConfig.WriteConfig")
    return False


def _decrypt(core: Core, slot: MemorySlot | None, p1: int, p2: int, data: bytes) -> bytes:
    number = None if slot is None else slot.number
    key = require_write_key(core, number, None if slot is None else slot.write_key)
    cipher, mac = data[:BLOCK_SIZE], data[BLOCK_SIZE:]
    plain = xor(cipher, key)
    header = command_header(core, Opcode.WRITE, p1, p2)
    if not compare_digest(sha256(key + header + bytes(25) + plain).digest(), mac):
        raise denied("the MAC of the encrypted write is wrong", slot=number)
    use_write_key_up(core)
    return plain


COMMAND: Final = CommandSpec(Opcode.WRITE, 0xC3, _check, _execute)
