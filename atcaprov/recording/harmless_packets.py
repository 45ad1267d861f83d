"""Packets that ask a part about the open points and harm nothing.

They write, lock, count and use up nothing; what they load is lost when the part sleeps. A recording of them, played
against the software chip, settles the open points whose answers differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.chip.commands import GEN_KEY_CREATE, P1_32_BYTES, TEMP_KEY_SLOT, Opcode, Zone
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.errors import AtcaProvError, UsageError
from atcaprov.hal.base import Hal

_PATTERN: Final = bytes(range(32))
_PUBLIC_KEY_SLOTS: Final = range(9, SLOT_COUNT)
_SCALAR: Final = 0x1F2E3D4C
"""The private key of the signature that the part is asked to verify; it protects nothing."""


def packet(opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bytes:
    """Return a command packet, count to CRC."""
    return with_crc(bytes((len(data) + 7, opcode, p1, p2 & 0xFF, p2 >> 8)) + data)


def harmless_packets() -> list[bytes]:
    """Return the packets in order."""
    return [
        *_identity(),
        *_addresses(),
        *_nonces(),
        *_hashes(),
        *_keys(),
        *_computations(),
        packet(Opcode.SELF_TEST, 0x3B),
    ]


def run(hal: Hal, packets: Iterable[bytes]) -> int:
    """Send packets, each between wake and idle, then let the part sleep; return how many were answered.

    A packet that gets no answer is passed over: that, too, is an answer.
    """
    answered = 0
    for content in packets:
        hal.wake()
        try:
            hal.exchange(content)
            answered += 1
        except UsageError:
            raise  # it was held back, or can't be recorded
        except AtcaProvError:
            hal.wake()
        hal.idle()
    hal.wake()
    hal.sleep()
    return answered


def _identity() -> list[bytes]:
    return [
        packet(Opcode.INFO),
        *(packet(Opcode.READ, P1_32_BYTES, block << 3) for block in range(4)),
        packet(Opcode.INFO, 0x02),
        packet(Opcode.INFO, 0x03),
        packet(Opcode.INFO, 0x04),
        packet(Opcode.INFO, 0x05),
        *(packet(Opcode.INFO, 0x01, slot) for slot in range(SLOT_COUNT + 1)),
        *(packet(Opcode.COUNTER, 0, number) for number in range(3)),
        packet(Opcode.HMAC, 0x04),
    ]


def _addresses() -> list[bytes]:
    data = P1_32_BYTES | Zone.DATA
    return [
        packet(Opcode.READ, P1_32_BYTES, 4 << 3),
        packet(Opcode.READ, Zone.CONFIG, 4 << 3),
        packet(Opcode.READ, P1_32_BYTES | Zone.OTP, 2 << 3),
        packet(Opcode.READ, 0x03),
        packet(Opcode.READ, data, 0x0080),
        packet(Opcode.READ, data, 0x0200),
        packet(Opcode.READ, Zone.DATA, 0x0101),
        *(packet(Opcode.READ, data, slot << 3) for slot in range(SLOT_COUNT)),
        *(packet(Opcode.READ, data, slot << 3 | block << 8) for slot in _PUBLIC_KEY_SLOTS for block in (1, 2)),
    ]


def _nonces() -> list[bytes]:
    state = packet(Opcode.INFO, 0x02)
    return [
        packet(Opcode.RANDOM),
        packet(Opcode.RANDOM, 1),
        packet(Opcode.NONCE, 0x00, 0, _PATTERN[:20]),
        state,
        packet(Opcode.NONCE, 0x01, 0x8000, _PATTERN[:20]),
        state,
        packet(Opcode.NONCE, 0x03, 0, _PATTERN),
        state,
        packet(Opcode.NONCE, 0x43, 0, _PATTERN),
        packet(Opcode.NONCE, 0x83, 0, _PATTERN),
        packet(Opcode.NONCE, 0xC3, 0, _PATTERN),
        packet(Opcode.NONCE, 0x02, 0, _PATTERN),
        packet(Opcode.NONCE, 0xA3, 0, 2 * _PATTERN),
        packet(Opcode.NONCE, 0x23, 0, 2 * _PATTERN),
        state,
        packet(Opcode.GEN_DIG, 0x00, 0),
        state,
        packet(Opcode.GEN_DIG, 0x04, 0),
        packet(Opcode.GEN_DIG, 0x05, 0),
        state,
    ]


def _hashes() -> list[bytes]:
    return [
        packet(Opcode.SHA, 0x01, 4, _PATTERN[:4]),
        packet(Opcode.SHA, 0x02, 0),
        packet(Opcode.SHA, 0x06),
        packet(Opcode.SHA, 0x00),
        packet(Opcode.SHA, 0x01, 32, _PATTERN),
        packet(Opcode.SHA, 0x06),
        packet(Opcode.SHA, 0x02, 32, _PATTERN),
        packet(Opcode.INFO, 0x02),
    ]


def _keys() -> list[bytes]:
    return [
        *(packet(Opcode.GEN_KEY, 0x00, slot) for slot in range(SLOT_COUNT)),
        packet(Opcode.NONCE, 0x03, 0, hashlib.sha256(_PATTERN).digest()),
        packet(Opcode.VERIFY, 0x02, 0x0004, signature() + public_key()),
        packet(Opcode.INFO, 0x02),
        packet(Opcode.NONCE, 0x03, 0, _PATTERN),
        packet(Opcode.VERIFY, 0x02, 0x0004, signature() + public_key()),
        packet(Opcode.NONCE, 0x03, 0, _PATTERN),
        packet(Opcode.VERIFY, 0x02, 0x0004, signature() + 2 * _PATTERN),
        packet(Opcode.GEN_KEY, GEN_KEY_CREATE, TEMP_KEY_SLOT),
        packet(Opcode.INFO, 0x02),
        packet(Opcode.ECDH, 0x0D, TEMP_KEY_SLOT, 2 * _PATTERN),
        packet(Opcode.GEN_KEY, GEN_KEY_CREATE, TEMP_KEY_SLOT),
        packet(Opcode.ECDH, 0x0D, TEMP_KEY_SLOT, public_key()),
    ]


def _computations() -> list[bytes]:
    load = packet(Opcode.NONCE, 0x03, 0, _PATTERN)
    details = (len(_PATTERN) << 24).to_bytes(4, "little")
    return [
        load,
        packet(Opcode.AES, 0x00, TEMP_KEY_SLOT, _PATTERN[:16]),
        packet(Opcode.AES, 0x03, TEMP_KEY_SLOT, _PATTERN),
        packet(Opcode.KDF, 0x10, 0, (len(_PATTERN) << 24 | 1).to_bytes(4, "little") + _PATTERN),
        packet(Opcode.KDF, 0x30, 0, bytes(4) + _PATTERN[:16]),
        packet(Opcode.KDF, 0x50, 0, (len(_PATTERN) << 24 | 2).to_bytes(4, "little") + _PATTERN),
        packet(Opcode.KDF, 0x54, 0, details + _PATTERN),
    ]


def signature() -> bytes:
    """Return R||S, 64 bytes, of SHA-256 over the pattern."""
    key = ec.derive_private_key(_SCALAR, ec.SECP256R1())
    der = key.sign(
        hashlib.sha256(_PATTERN).digest(), ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
    )
    return b"".join(number.to_bytes(32) for number in utils.decode_dss_signature(der))


def public_key() -> bytes:
    """Return X||Y, 64 bytes, of the key that signed it."""
    point = ec.derive_private_key(_SCALAR, ec.SECP256R1()).public_key().public_numbers()
    return point.x.to_bytes(32) + point.y.to_bytes(32)
