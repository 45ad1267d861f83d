"""What the slots of a part that is given up are for, and what they hold: everybody can compute it."""

from __future__ import annotations

from hashlib import sha256

from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.serving.probes import public_key


class Roles:
    """Slot numbers by their use; the configuration for each stands in `sacrifice`."""

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
        """Return what the first 32 bytes of a slot are, or its private key."""
        return sha256(b"open point %d" % slot).digest()

    @classmethod
    def content(cls, slot: int) -> bytes:
        """Return all bytes of a slot; a private key stands behind 4 zero bytes."""
        secret = cls.secret(slot)
        if slot in (cls.SIGNING_KEY, cls.AUTHORIZED_KEY):
            return bytes(4) + secret
        if slot == cls.PUBLIC_KEY:
            return bytes(4) + public_key()[:32] + bytes(4) + public_key()[32:]
        return (secret * (SLOT_SIZES[slot] // len(secret) + 1))[: SLOT_SIZES[slot]]
