"""The second setup: a chip for questions about limited use, public keys, ECDH into slots, and secure boot.

They need slots of their own: all slots of the first setup are used, and limited uses would disturb its questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.chip.memory_map import COUNT_MATCH, SECURE_BOOT, SLOT_SIZES, X509_FORMAT

_CURVE: Final = ec.SECP256R1()
_VALIDATED_BY_CERTIFICATE: Final = 0x21
"""An X509format byte that is not 0: position 1 of the key, a template of 2 blocks."""


class SecondSlots:
    """Slot numbers of the second setup, by their use."""

    LIMITED_ECDH_KEY = 0
    ODD_ECDH_KEY = 1
    ODD_RESULT = 2
    LIMITED_AES_KEY = 3
    SIGNING_KEY = 4
    ECDH_RESULT = 5
    LIMITED_SECRET = 6
    DERIVED_KEY = 7
    ROLLED_WITH_MAC = 8
    LIMITED_PUBLIC_KEY = 9
    LIMIT = 10
    SIGNATURE = 11
    LOCKED = 12
    AUTHORIZING_KEY = 13
    PUBLIC_KEY_BY_CERTIFICATE = 14
    VALIDATED_PUBLIC_KEY = 15


SLOTS: Final[Mapping[int, tuple[int, int]]] = MappingProxyType(
    {
        SecondSlots.LIMITED_ECDH_KEY: (0x00A5, 0x0013),
        SecondSlots.ODD_ECDH_KEY: (0x008D, 0x0011),
        SecondSlots.ODD_RESULT: (0x8F8F, 0x001C),
        SecondSlots.LIMITED_AES_KEY: (0x8FAF, 0x0018),
        SecondSlots.SIGNING_KEY: (0x0087, 0x0013),
        SecondSlots.ECDH_RESULT: (0x8F8F, 0x001C),
        SecondSlots.LIMITED_SECRET: (0x8FAF, 0x001C),
        SecondSlots.DERIVED_KEY: (0x3080 | 0x0F | SecondSlots.LIMITED_SECRET << 8, 0x001C),
        SecondSlots.ROLLED_WITH_MAC: (0xA080 | 0x0F | SecondSlots.AUTHORIZING_KEY << 8, 0x001C),
        SecondSlots.LIMITED_PUBLIC_KEY: (0x8F2F, 0x0010),
        SecondSlots.LIMIT: (0x0F0F, 0x001C),
        SecondSlots.SIGNATURE: (0x0F0F, 0x003C),
        SecondSlots.LOCKED: (0x0F0F, 0x003C),
        SecondSlots.AUTHORIZING_KEY: (0x8F8F, 0x001C),
        SecondSlots.PUBLIC_KEY_BY_CERTIFICATE: (0x0F00 | SecondSlots.LIMITED_PUBLIC_KEY, 0x4012),
        SecondSlots.VALIDATED_PUBLIC_KEY: (0x0F00 | SecondSlots.LIMITED_PUBLIC_KEY, 0x0012),
    }
)
"""SlotConfig and KeyConfig."""
FIELDS: Final[Mapping[int, int]] = MappingProxyType(
    {
        COUNT_MATCH: SecondSlots.LIMIT << 4 | 0x01,
        SECURE_BOOT.start: 0x01,  # FullBoth
        SECURE_BOOT.start + 1: SecondSlots.LIMITED_PUBLIC_KEY << 4 | SecondSlots.SIGNATURE,
        X509_FORMAT.start + 1: _VALIDATED_BY_CERTIFICATE,
    }
)
"""Other bytes of the configuration zone."""
LIMIT: Final = 10_000
"""How often keys with limited use may be used."""
_PUBLIC_KEYS: Final = (
    SecondSlots.LIMITED_PUBLIC_KEY,
    SecondSlots.PUBLIC_KEY_BY_CERTIFICATE,
    SecondSlots.VALIDATED_PUBLIC_KEY,
)
_PRIVATE_KEYS: Final = (SecondSlots.LIMITED_ECDH_KEY, SecondSlots.ODD_ECDH_KEY, SecondSlots.SIGNING_KEY)
_INVALID: Final = 0xA0
"""Byte 0 of a public key that needs validation, after it was written: its top nibble says invalid."""


def secret(slot: int) -> bytes:
    """Return the first 32 bytes of a slot, its private key, or the private key of the public key in it."""
    return sha256(b"second part %d" % slot).digest()


def content(slot: int) -> bytes:
    """Return all bytes of a slot; a private key follows 4 zero bytes."""
    if slot in _PRIVATE_KEYS:
        return bytes(4) + secret(slot)
    if slot in _PUBLIC_KEYS:
        first = bytes(4) if slot == SecondSlots.LIMITED_PUBLIC_KEY else bytes((_INVALID, 0, 0, 0))
        return first + public_key(slot)[:32] + bytes(4) + public_key(slot)[32:]
    if slot == SecondSlots.LIMIT:
        return limit().ljust(SLOT_SIZES[slot], b"\0")
    return (secret(slot) * (SLOT_SIZES[slot] // 32 + 1))[: SLOT_SIZES[slot]]


def limit(first: int = LIMIT, second: int = LIMIT) -> bytes:
    """Return the two copies of the limit, 8 bytes."""
    return first.to_bytes(4, "little") + second.to_bytes(4, "little")


def public_key(slot: int) -> bytes:
    """Return the public key of a slot's key, X||Y, 64 bytes."""
    point = _key(slot).public_key().public_numbers()
    return point.x.to_bytes(32) + point.y.to_bytes(32)


def signature(slot: int, digest: bytes) -> bytes:
    """Return a signature over a digest by a slot's key, R||S, 64 bytes."""
    der = _key(slot).sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True))
    return b"".join(number.to_bytes(32) for number in utils.decode_dss_signature(der))


def shared_secret(slot: int, peer: int) -> bytes:
    """Return the shared secret of the keys of two slots, 32 bytes."""
    return _key(slot).exchange(ec.ECDH(), _key(peer).public_key())


def _key(slot: int) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret(slot)), _CURVE)
