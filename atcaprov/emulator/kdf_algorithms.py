"""The three functions of the KDF command, and the details word that steers them."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.commands import Status
from atcaprov.chip.memory_map import KDF_IV_LOC, KDF_IV_STR
from atcaprov.emulator.aes import encrypt, require_aes_enabled
from atcaprov.emulator.core import Core
from atcaprov.emulator.io_protection import chip_options
from atcaprov.emulator.key_use import require_symmetric, require_usable
from atcaprov.emulator.refusal import Refusal, denied

PRF: Final = 0x00
AES: Final = 0x20
HKDF: Final = 0x40
_KDF_AES_ENABLED: Final = 0x0004
_AES_BLOCK: Final = 16
_PRF_64_BYTES: Final = 0x0100
_FROM_SLOT, _FROM_TEMP_KEY, _FROM_INPUT, _FROM_INPUT_WITH_IV = range(4)
_ZERO_KEY: Final = 0x04


@dataclass(frozen=True, slots=True)
class Details:
    """The 32-bit details word and the message behind it."""

    word: int
    message: bytes

    @property
    def message_length(self) -> int:
        """Bits 31-24."""
        return self.word >> 24

    def check(self, core: Core, algorithm: int) -> None:
        """Refuse (03) a message whose length is not the one announced."""
        announced = _AES_BLOCK if algorithm == AES else self.message_length
        from_inside = algorithm == HKDF and self.word & 0x03 in (_FROM_SLOT, _FROM_TEMP_KEY)
        if len(self.message) != announced and not (from_inside and not self.message):
            raise Refusal(Status.PARSE_ERROR, "the message has not the length that the details announce")
        if algorithm == AES and not chip_options(core) & _KDF_AES_ENABLED:
            raise denied("KDF with AES is switched off", bit="ChipOptions bit 2")

    def result_size(self, algorithm: int) -> int:
        """Return the size of the result: 64 for a PRF that asks for it, else 32."""
        return 64 if algorithm == PRF and self.word & _PRF_64_BYTES else 32


def derive(core: Core, algorithm: int, key: bytes, details: Details) -> bytes:
    """Return 32 or 64 bytes from the source's bytes (32 to 64) and the message."""
    if algorithm == PRF:
        size = 16 * ((details.word & 0x03) + 1)
        return _prf(_part(key, 0, size), details.message, details.result_size(PRF))
    if algorithm == AES:
        require_aes_enabled(core)
        start = _AES_BLOCK * (details.word & 0x03)
        return encrypt(_part(key, start, _AES_BLOCK), details.message) + bytes(_AES_BLOCK)
    secret = bytes(32) if details.word & _ZERO_KEY else key[:32]
    # The extract step of RFC 5869, no expand step: BitBoxSwiss/bitbox02-firmware src/atecc/atecc.c, of a real part.
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


def _hkdf_message(core: Core, details: Details) -> bytes:
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
    """Refuse a message that has not KdfIvStr at KdfIvLoc."""
    place = core.memory.config[KDF_IV_LOC]
    if message[place : place + 2] != core.memory.config[KDF_IV_STR]:
        raise denied("the message does not carry the special IV", bit="KdfIvLoc, KdfIvStr")
