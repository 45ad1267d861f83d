"""SHA-256 whose running state can be taken out and put back (FIPS 180-4, section 6.2).

The SHA command exports and imports its context as state words, which hashlib cannot do.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

_MASK: Final = 0xFFFFFFFF
_BLOCK: Final = 64


def _primes(count: int) -> list[int]:
    found: list[int] = []
    candidate = 2
    while len(found) < count:
        if all(candidate % prime for prime in found):
            found.append(candidate)
        candidate += 1
    return found


def _root_fraction(number: int, root: int) -> int:
    """Return the first 32 bits of the fractional part of the square or cube root (FIPS 180-4, 4.2.2 and 5.3.3)."""
    scaled = number << 32 * root
    guess = 1 << (scaled.bit_length() // root + 1)
    while True:
        better = ((root - 1) * guess + scaled // guess ** (root - 1)) // root
        if better >= guess:
            return guess & _MASK
        guess = better


_ROUND_CONSTANTS: Final = tuple(_root_fraction(prime, 3) for prime in _primes(64))
_START: Final = tuple(_root_fraction(prime, 2) for prime in _primes(8))


def _schedule(block: bytes) -> list[int]:
    words = list(struct.unpack(">16I", block))
    for index in range(16, 64):
        early, late = words[index - 15], words[index - 2]
        sigma0 = (early >> 7 | early << 25) ^ (early >> 18 | early << 14) ^ early >> 3
        sigma1 = (late >> 17 | late << 15) ^ (late >> 19 | late << 13) ^ late >> 10
        words.append((words[index - 16] + (sigma0 & _MASK) + words[index - 7] + (sigma1 & _MASK)) & _MASK)
    return words


def _compress(state: tuple[int, ...], block: bytes) -> tuple[int, ...]:
    a, b, c, d, e, f, g, h = state
    for constant, word in zip(_ROUND_CONSTANTS, _schedule(block), strict=True):
        sum1 = ((e >> 6 | e << 26) ^ (e >> 11 | e << 21) ^ (e >> 25 | e << 7)) & _MASK
        first = h + sum1 + (e & f ^ ~e & g) + constant + word
        sum0 = ((a >> 2 | a << 30) ^ (a >> 13 | a << 19) ^ (a >> 22 | a << 10)) & _MASK
        second = sum0 + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = (first + second) & _MASK, a, b, c, (d + first) & _MASK, e, f, g
    return tuple((old + new) & _MASK for old, new in zip(state, (a, b, c, d, e, f, g, h), strict=True))


@dataclass(slots=True, repr=False)
class Sha256:
    """A running SHA-256: eight state words, number of bytes taken, bytes that wait for a full block."""

    state: tuple[int, ...] = _START
    length: int = 0
    pending: bytes = b""

    def update(self, message: bytes) -> None:
        """Take more of the message."""
        self.length += len(message)
        waiting = self.pending + message
        whole = len(waiting) - len(waiting) % _BLOCK
        for start in range(0, whole, _BLOCK):
            self.state = _compress(self.state, waiting[start : start + _BLOCK])
        self.pending = waiting[whole:]

    def digest(self) -> bytes:
        """Return the 32-byte digest of what was taken so far; the hash can go on."""
        zeros = (_BLOCK - 9 - self.length) % _BLOCK
        padded = self.pending + b"\x80" + bytes(zeros) + (8 * self.length).to_bytes(8)
        state = self.state
        for start in range(0, len(padded), _BLOCK):
            state = _compress(state, padded[start : start + _BLOCK])
        return struct.pack(">8I", *state)
