"""KDF (56): TLS 1.2 PRF, AES or HKDF on a key inside the chip.

Data: details (4 bytes, low byte first) and the message. Bits of the details: cryptoauthlib lib/calib/calib_kdf.c.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.commands import Opcode, Status
from atcaprov.chip.memory_map import KDF_IV_LOC, KDF_IV_STR
from atcaprov.emulator.aes import encrypt, require_aes_enabled
from atcaprov.emulator.command import SUCCESS, CommandSpec, require_length
from atcaprov.emulator.core import Core
from atcaprov.emulator.io_protection import chip_options, io_protection_key, protect, require_output_allowed
from atcaprov.emulator.key_rules import (
    count_use,
    obeys_key_config,
    require_open_use,
    require_result_slot,
    require_symmetric,
    require_usable,
)
from atcaprov.emulator.refusal import Refusal, denied, illegal
from atcaprov.emulator.slot import MemorySlot

_SOURCE: Final = 0x03
_TARGET: Final = 0x1C
_ALGORITHM: Final = 0x60
_PRF, _AES, _HKDF = 0x00, 0x20, 0x40
_TEMP_KEY, _TEMP_KEY_UPPER, _SLOT, _ALTERNATE = range(4)
_TO_TEMP_KEY, _TO_TEMP_KEY_UPPER, _TO_SLOT, _TO_ALTERNATE, _TO_BUS, _TO_BUS_ENCRYPTED = range(0, 0x18, 4)
_DETAILS_SIZE: Final = 4
_LONGEST_MESSAGE: Final = 128
_PROTECTION_SHIFT: Final = 10
_KDF_AES_ENABLED: Final = 0x0004
_AES_BLOCK: Final = 16
_PRF_64_BYTES: Final = 0x0100
_FROM_SLOT, _FROM_TEMP_KEY, _FROM_INPUT, _FROM_INPUT_WITH_IV = range(4)
_ZERO_KEY: Final = 0x04


def _check(p1: int, p2: int, length: int) -> None:
    if p1 & _ALGORITHM > _HKDF or p1 & _TARGET > _TO_BUS_ENCRYPTED:
        raise illegal(f"KDF has no mode {p1:02X}")
    if (p1 & _SOURCE == _SLOT and p2 & 0xF0) or (p1 & _TARGET == _TO_SLOT and p2 >> 12):
        raise illegal(f"P2 {p2:04X} names no slot")
    require_length(length, *range(_DETAILS_SIZE, _DETAILS_SIZE + _LONGEST_MESSAGE + 1))


def _execute(core: Core, p1: int, p2: int, data: bytes) -> bytes:
    core.require_config_locked()
    details = _Details(int.from_bytes(data[:_DETAILS_SIZE], "little"), data[_DETAILS_SIZE:])
    target = p1 & _TARGET
    require_output_allowed(
        chip_options(core) >> _PROTECTION_SHIFT,
        on_bus=target >= _TO_BUS,
        encrypted=target == _TO_BUS_ENCRYPTED,
        bit="ChipOptions bits 11-10",
    )
    details.check(core, p1 & _ALGORITHM)
    slot = core.slot(p2 & 0x0F) if p1 & _SOURCE == _SLOT else None
    key = _key(core, p1 & _SOURCE, slot)
    result_slot = core.slot(p2 >> 8) if target == _TO_SLOT else None
    _require_target(core, target, result_slot, details.result_size(p1 & _ALGORITHM))
    result = _derive(core, p1 & _ALGORITHM, key, details)
    if slot is not None:
        count_use(core, slot, Opcode.KDF)
    return _deliver(core, target, result_slot, result)


def _key(core: Core, source: int, slot: MemorySlot | None) -> bytes:
    """Return the key, all bytes of the source, at most 64."""
    if slot is not None:
        require_usable(core, slot)
        require_open_use(core, slot)
        require_symmetric(slot)
        slot.require_known()
        return slot.read(0, 64)
    if source == _ALTERNATE:
        if core.volatile.alternate_key is None:
            raise denied("the Alternate Key Buffer holds no key")
        return core.volatile.alternate_key
    temp_key = core.temp_key
    if not temp_key.valid or (source == _TEMP_KEY_UPPER and not temp_key.is_64):
        raise denied("TempKey is not valid, or its upper half is not")
    if source == _TEMP_KEY_UPPER:
        return temp_key.value[32:]
    return temp_key.value if temp_key.is_64 else temp_key.key


def _require_target(core: Core, target: int, slot: MemorySlot | None, size: int) -> None:
    if size > 32 and target in (_TO_TEMP_KEY_UPPER, _TO_ALTERNATE):
        raise denied("64 bytes do not fit the target")
    if target == _TO_BUS_ENCRYPTED:
        io_protection_key(core)
    if slot is None:
        return
    require_result_slot(core, slot)
    if not slot.pub_info and obeys_key_config(core) and core.open_points.kdf_needs_pub_info:
        raise denied("KDF may not write the slot", slot=slot.number, bit="KeyConfig.PubInfo")
    if size > slot.size:
        raise denied("the result does not fit the slot", slot=slot.number)


def _deliver(core: Core, target: int, slot: MemorySlot | None, result: bytes) -> bytes:
    if target == _TO_BUS:
        return result
    if target == _TO_BUS_ENCRYPTED:
        return protect(core, result)
    if slot is not None:
        slot.write(0, result)
    elif target == _TO_TEMP_KEY:
        core.temp_key.load(result, from_input=True)
    elif target == _TO_TEMP_KEY_UPPER:
        core.temp_key.load(core.temp_key.key + result, from_input=True)
    else:
        core.volatile.alternate_key = result
    return SUCCESS


@dataclass(frozen=True, slots=True)
class _Details:
    """The 32-bit details word and the message that follows it."""

    word: int
    message: bytes

    @property
    def message_length(self) -> int:
        """Bits 31-24."""
        return self.word >> 24

    def check(self, core: Core, algorithm: int) -> None:
        """Refuse (03) a message whose length is not the one in the details."""
        announced = _AES_BLOCK if algorithm == _AES else self.message_length
        from_inside = algorithm == _HKDF and self.word & 0x03 in (_FROM_SLOT, _FROM_TEMP_KEY)
        if len(self.message) != announced and not (from_inside and not self.message):
            raise Refusal(Status.PARSE_ERROR, "the message does not have the length in the details")
        if algorithm == _AES and not chip_options(core) & _KDF_AES_ENABLED:
            raise denied("KDF with AES is disabled", bit="ChipOptions bit 2")

    def result_size(self, algorithm: int) -> int:
        """Return the size of the result: 64 for a PRF that asks for it, else 32."""
        return 64 if algorithm == _PRF and self.word & _PRF_64_BYTES else 32


def _derive(core: Core, algorithm: int, key: bytes, details: _Details) -> bytes:
    """Return 32 or 64 bytes from the source's bytes (32 to 64) and the message."""
    if algorithm == _PRF:
        size = 16 * ((details.word & 0x03) + 1)
        return _prf(_part(key, 0, size), details.message, details.result_size(_PRF))
    if algorithm == _AES:
        require_aes_enabled(core)
        start = _AES_BLOCK * (details.word & 0x03)
        return encrypt(_part(key, start, _AES_BLOCK), details.message) + bytes(_AES_BLOCK)
    secret = bytes(32) if details.word & _ZERO_KEY else key[:32]
    # The extract step of RFC 5869, no expand step: BitBoxSwiss/bitbox02-firmware src/atecc/atecc.c, on real chips.
    return hmac.digest(secret, _hkdf_message(core, details), "sha256")


def _part(key: bytes, start: int, size: int) -> bytes:
    part = key[start : start + size]
    if len(part) < size:
        raise denied("the source is shorter than the key that the details name")
    return part


def _prf(secret: bytes, seed: bytes, size: int) -> bytes:
    """P_SHA256 of RFC 5246, section 5."""
    result, link = b"", seed
    while len(result) < size:
        link = hmac.digest(secret, link, "sha256")
        result += hmac.digest(secret, link + seed, "sha256")
    return result


def _hkdf_message(core: Core, details: _Details) -> bytes:
    source = details.word & 0x03
    if source == _FROM_INPUT:
        return details.message
    if source == _FROM_INPUT_WITH_IV:
        _require_iv(core, details.message)
        return details.message
    size = details.message_length or 32
    if source == _FROM_TEMP_KEY:
        if not core.temp_key.valid:
            raise denied("TempKey is not valid")
        return _part(core.temp_key.value, 0, size)
    slot = core.slot(details.word >> 8 & 0x0F)
    require_usable(core, slot)
    require_symmetric(slot)
    return _part(slot.read(0, size), 0, size)


def _require_iv(core: Core, message: bytes) -> None:
    """Refuse a message without KdfIvStr at KdfIvLoc."""
    place = core.memory.config[KDF_IV_LOC]
    if message[place : place + 2] != core.memory.config[KDF_IV_STR]:
        raise denied("the message does not carry the special IV", bit="KdfIvLoc, KdfIvStr")


COMMAND: Final = CommandSpec(Opcode.KDF, 0x7F, _check, _execute)
