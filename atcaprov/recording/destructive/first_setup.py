"""The first setup: a chip for questions about authorization, TempKey, copies, and secrets that change.

The content of its slots is not secret: it is computed from the slot numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from atcaprov.chip.memory_map import SLOT_SIZES, USE_LOCK, VOLATILE_KEY_PERMISSION
from atcaprov.recording.harmless_packets import public_key

_PERMISSION_ON: Final = 0x80
_USE_LOCK_ON: Final = 0x0A


class FirstSlots:
    """Slot numbers of the first setup, by their use."""

    SIGNING_KEY = 0
    AUTHORIZED_KEY = 1
    ROLLED_KEY = 2
    PLAIN_KEY = 3
    AUTHORIZATION = 4
    OTHER_SECRET = 5
    COPIED_EVEN = 6
    COPIED_ODD = 7
    ENCRYPTED = 8
    NO_MAC = 9
    RANDOM_ONLY = 10
    KDF_TARGET = 11
    USE_LOCKED = 12
    CLEAR = 13
    LIMITED_KEY = 14
    PUBLIC_KEY = 15

    @staticmethod
    def secret(slot: int) -> bytes:
        """Return the first 32 bytes of a slot, or its private key."""
        return sha256(b"open point %d" % slot).digest()

    @classmethod
    def content(cls, slot: int) -> bytes:
        """Return all bytes of a slot; a private key follows 4 zero bytes."""
        secret = cls.secret(slot)
        if slot in (cls.SIGNING_KEY, cls.AUTHORIZED_KEY):
            return bytes(4) + secret
        if slot == cls.PUBLIC_KEY:
            return bytes(4) + public_key()[:32] + bytes(4) + public_key()[32:]
        return (secret * (SLOT_SIZES[slot] // len(secret) + 1))[: SLOT_SIZES[slot]]


SLOTS: Final[Mapping[int, tuple[int, int]]] = MappingProxyType(
    {
        FirstSlots.SIGNING_KEY: (0x0083, 0x0033),
        FirstSlots.AUTHORIZED_KEY: (0x0083, 0x0013 | 0x80 | FirstSlots.AUTHORIZATION << 8),
        FirstSlots.ROLLED_KEY: (0x20AF, 0x001C),
        FirstSlots.PLAIN_KEY: (0x8F8F, 0x001C),
        FirstSlots.AUTHORIZATION: (0x8F8F, 0x001C),
        FirstSlots.OTHER_SECRET: (0x8F0F, 0x001C),
        FirstSlots.COPIED_EVEN: (0x8F80, 0x001C),
        FirstSlots.COPIED_ODD: (0x8F80, 0x001C),
        FirstSlots.ENCRYPTED: (0x448F, 0x001C),
        FirstSlots.RANDOM_ONLY: (0x8F8F, 0x005C),
        FirstSlots.KDF_TARGET: (0x0F0F, 0x001C),
        FirstSlots.USE_LOCKED: (0x8F8F, 0x001C),
        FirstSlots.CLEAR: (0x0F0F, 0x001C),
        FirstSlots.NO_MAC: (0x8F9F, 0x001C),
        FirstSlots.LIMITED_KEY: (0x8FAF, 0x001C | 0x80 | FirstSlots.AUTHORIZATION << 8),
        FirstSlots.PUBLIC_KEY: (0x0F0F, 0x0010),
    }
)
"""SlotConfig and KeyConfig."""
FIELDS: Final[Mapping[int, int]] = MappingProxyType(
    {
        USE_LOCK: FirstSlots.USE_LOCKED << 4 | _USE_LOCK_ON,
        VOLATILE_KEY_PERMISSION: _PERMISSION_ON | FirstSlots.AUTHORIZATION,
    }
)
"""Other bytes of the configuration zone."""
