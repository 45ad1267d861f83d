"""The I/O protection key, which encrypts answers and makes MAC answers; and where ChipOptions lets a result go.

ChipOptions bit 1 enables the key, bits 15-12 name its slot. Block b of an answer is XORed with
SHA-256(key | OutNonce[16b : 16b + 16]) (cryptoauthlib lib/host/atca_host.c, atcah_io_decrypt).
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from atcaprov.chip.memory_map import CHIP_OPTIONS
from atcaprov.emulator.command import xor
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import Refusal, denied

_ENABLED: Final = 0x0002
_CLEAR, _INTERNAL_ONLY, _NEVER = 0, 2, 3


def chip_options(core: Core) -> int:
    """Return ChipOptions as a 16-bit number."""
    return core.memory.word(CHIP_OPTIONS.start)


def io_protection_key(core: Core) -> bytes:
    """Return the 32-byte key, or refuse if ChipOptions does not enable it."""
    core.require_config_locked()
    options = chip_options(core)
    if not options & _ENABLED:
        raise Refusal(
            core.open_points.io_protection_off_code, "the I/O protection key is not enabled", bit="ChipOptions bit 1"
        )
    return core.slot(options >> 12).secret()


def protect(core: Core, answer: bytes) -> bytes:
    """Return 32 or 64 bytes encrypted under the key, followed by the 32-byte OutNonce."""
    key = io_protection_key(core)
    nonce = core.random_bytes(32)
    stream = b"".join(sha256(key + nonce[start : start + 16]).digest() for start in range(0, len(answer) // 2, 16))
    return xor(answer, stream[: len(answer)]) + nonce


def require_output_allowed(field: int, *, on_bus: bool, encrypted: bool, bit: str) -> None:
    """Refuse what the two low bits of `field` forbid: 0 nothing, 1 clear output, 2 every output, 3 the command."""
    level = field & 0x03
    if level == _NEVER:
        raise denied("the command is disabled", bit=bit)
    if on_bus and level == _INTERNAL_ONLY:
        raise denied("the result must stay inside", bit=bit)
    if on_bus and level != _CLEAR and not encrypted:
        raise denied("the result may leave the chip only encrypted", bit=bit)
