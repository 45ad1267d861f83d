"""Random bytes and keys of the chip: from the system or, for tests that need the same bytes again, from a seed."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from hashlib import sha256

from atcaprov.emulator import ecc


class RandomSource(ABC):
    """Random bytes and new keys."""

    @abstractmethod
    def take(self, count: int) -> bytes:
        """Return `count` random bytes."""

    @abstractmethod
    def key_pair(self) -> tuple[bytes, bytes]:
        """Return a new private key (32 bytes) and its public key (64 bytes)."""


class SystemRandom(RandomSource):
    """The operating system's random source."""

    __slots__ = ()

    def take(self, count: int) -> bytes:
        """Return `count` random bytes."""
        return os.urandom(count)

    def key_pair(self) -> tuple[bytes, bytes]:
        """Return a new key pair; one call of the crypto library is faster than deriving from bytes."""
        return ecc.new_key_pair()


class SeededRandom(RandomSource):
    """SHA-256 over seed and counter: the same seed gives the same chip again. For tests only."""

    __slots__ = ("_count", "_seed")

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._count = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes of the stream."""
        stream = b""
        while len(stream) < count:
            stream += sha256(self._seed + self._count.to_bytes(8)).digest()
            self._count += 1
        return stream[:count]

    def key_pair(self) -> tuple[bytes, bytes]:
        """Return the key pair of the next 32 bytes that are a valid scalar."""
        scalar = self.take(32)
        while not ecc.is_scalar(scalar):
            scalar = self.take(32)
        return scalar, ecc.public_key(scalar)
