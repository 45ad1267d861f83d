"""AES-128 on one block, and the field multiplication of GCM."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import Refusal

BLOCK: Final = 16
_AES_ENABLE: Final = 13
_REDUCTION: Final = 0xE1 << 120
"""R of NIST SP 800-38D, section 6.3."""


def require_aes_enabled(core: Core) -> None:
    """Refuse if AES is disabled (configuration byte 13, bit 0)."""
    if not core.memory.config[_AES_ENABLE] & 1:
        raise Refusal(core.open_points.aes_disabled_code, "AES is disabled on this chip", bit="AES_Enable")


def _cipher(key: bytes) -> Cipher[modes.ECB]:
    return Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - the chip's own primitive is one block


def encrypt(key: bytes, block: bytes) -> bytes:
    """Return one block of 16 bytes, encrypted under a 16-byte key."""
    return _cipher(key).encryptor().update(block)


def decrypt(key: bytes, block: bytes) -> bytes:
    """Return one block of 16 bytes, decrypted."""
    return _cipher(key).decryptor().update(block)


def multiply(left: bytes, right: bytes) -> bytes:
    """Return the product of two blocks in GCM's field GF(2^128) (NIST SP 800-38D, algorithm 1)."""
    product, factor, bits = 0, int.from_bytes(right), int.from_bytes(left)
    for place in range(127, -1, -1):
        if bits >> place & 1:
            product ^= factor
        factor = factor >> 1 ^ (_REDUCTION if factor & 1 else 0)
    return product.to_bytes(BLOCK)
