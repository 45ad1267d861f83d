"""Harmless packets for a recording: the answers of a real chip, for comparison with the software chip.

They write, lock, count and use up nothing; what they load is lost when the chip sleeps. The replay of a recording shows
where the software chip answers otherwise.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.chip.commands import GEN_KEY_CREATE, GEN_KEY_PUBLIC, P1_32_BYTES, TEMP_KEY_SLOT, Opcode, Zone
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.chip.modes import (
    AES_ENCRYPT,
    AES_GFM,
    BLOCK_SHIFT,
    COUNTER_READ,
    ECDH_KEY_IN_TEMP_KEY,
    ECDH_TO_BUS,
    GEN_DIG_COUNTER,
    GEN_DIG_KEY_CONFIG,
    INFO_GPIO,
    INFO_KEY_VALID,
    INFO_LATCH,
    INFO_STATE,
    KDF_AES,
    KDF_HKDF,
    KDF_LENGTH_SHIFT,
    KDF_MESSAGE_FROM_INPUT,
    KDF_PRF,
    KDF_PRF_32_BYTE_KEY,
    KDF_TO_BUS,
    KDF_TO_BUS_ENCRYPTED,
    MAC_SOURCE_IS_INPUT,
    NONCE_64_BYTES,
    NONCE_FIXED,
    NONCE_PLAIN_RANDOM,
    NONCE_RANDOM,
    NONCE_RANDOM_KEEP_SEED,
    NONCE_TO_ALTERNATE_KEY_BUFFER,
    NONCE_TO_MESSAGE_DIGEST_BUFFER,
    RANDOM_KEEP_SEED,
    SELF_TEST_ALL,
    SHA_END,
    SHA_READ_CONTEXT,
    SHA_START,
    SHA_UPDATE,
    SLOT_SHIFT,
    VERIFY_EXTERNAL,
    VERIFY_P256,
    ZONE_BLOCK_SHIFT,
)
from atcaprov.errors import AtcaProvError, UsageError
from atcaprov.hal.base import Hal

_PATTERN: Final = bytes(range(32))
_PUBLIC_KEY_SLOTS: Final = range(9, SLOT_COUNT)
_NO_SUCH_INFO: Final = 0x05
_NO_SUCH_ZONE: Final = 0x03
_NO_SUCH_NONCE: Final = 0x02
_NO_SUCH_BUFFER: Final = 0xC0
"""Modes that do not exist."""
_SCALAR: Final = 0x1F2E3D4C
"""The private key of the signature that the chip has to verify; it protects nothing."""


def packet(opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bytes:
    """Return a command packet, count to CRC."""
    return with_crc(bytes((len(data) + 7, opcode, p1, p2 & 0xFF, p2 >> 8)) + data)


def harmless_packets() -> list[bytes]:
    """Return the packets in the order in which they are sent."""
    return [
        *_identity(),
        *_addresses(),
        *_nonces(),
        *_hashes(),
        *_keys(),
        *_computations(),
        packet(Opcode.SELF_TEST, SELF_TEST_ALL),
    ]


def run(hal: Hal, packets: Iterable[bytes]) -> int:
    """Send packets, each between wake and idle, then let the chip sleep; return how many were answered.

    A packet without an answer is skipped; the recording shows that there was none.
    """
    answered = 0
    for content in packets:
        hal.wake()
        try:
            hal.exchange(content)
            answered += 1
        except UsageError:
            raise  # the guard refused it, or it cannot be recorded
        except AtcaProvError:
            hal.wake()
        hal.idle()
    hal.wake()
    hal.sleep()
    return answered


def _identity() -> list[bytes]:
    return [
        packet(Opcode.INFO),
        *(packet(Opcode.READ, P1_32_BYTES, block << ZONE_BLOCK_SHIFT) for block in range(4)),
        packet(Opcode.INFO, INFO_STATE),
        packet(Opcode.INFO, INFO_GPIO),
        packet(Opcode.INFO, INFO_LATCH),
        packet(Opcode.INFO, _NO_SUCH_INFO),
        *(packet(Opcode.INFO, INFO_KEY_VALID, slot) for slot in range(SLOT_COUNT + 1)),
        *(packet(Opcode.COUNTER, COUNTER_READ, number) for number in range(3)),
        packet(Opcode.HMAC, MAC_SOURCE_IS_INPUT),
    ]


def _addresses() -> list[bytes]:
    """Read where no zone or slot is, and from every slot."""
    data = P1_32_BYTES | Zone.DATA
    return [
        packet(Opcode.READ, P1_32_BYTES, 4 << ZONE_BLOCK_SHIFT),
        packet(Opcode.READ, Zone.CONFIG, 4 << ZONE_BLOCK_SHIFT),
        packet(Opcode.READ, P1_32_BYTES | Zone.OTP, 2 << ZONE_BLOCK_SHIFT),
        packet(Opcode.READ, _NO_SUCH_ZONE),
        packet(Opcode.READ, data, SLOT_COUNT << SLOT_SHIFT),
        packet(Opcode.READ, data, 2 << BLOCK_SHIFT),
        packet(Opcode.READ, Zone.DATA, 1 << BLOCK_SHIFT | 1),
        *(packet(Opcode.READ, data, slot << SLOT_SHIFT) for slot in range(SLOT_COUNT)),
        *(
            packet(Opcode.READ, data, slot << SLOT_SHIFT | block << BLOCK_SHIFT)
            for slot in _PUBLIC_KEY_SLOTS
            for block in (1, 2)
        ),
    ]


def _nonces() -> list[bytes]:
    state = packet(Opcode.INFO, INFO_STATE)
    return [
        packet(Opcode.RANDOM),
        packet(Opcode.RANDOM, RANDOM_KEEP_SEED),
        packet(Opcode.NONCE, NONCE_RANDOM, 0, _PATTERN[:20]),
        state,
        packet(Opcode.NONCE, NONCE_RANDOM_KEEP_SEED, NONCE_PLAIN_RANDOM, _PATTERN[:20]),
        state,
        packet(Opcode.NONCE, NONCE_FIXED, 0, _PATTERN),
        state,
        packet(Opcode.NONCE, NONCE_FIXED | NONCE_TO_MESSAGE_DIGEST_BUFFER, 0, _PATTERN),
        packet(Opcode.NONCE, NONCE_FIXED | NONCE_TO_ALTERNATE_KEY_BUFFER, 0, _PATTERN),
        packet(Opcode.NONCE, NONCE_FIXED | _NO_SUCH_BUFFER, 0, _PATTERN),
        packet(Opcode.NONCE, _NO_SUCH_NONCE, 0, _PATTERN),
        packet(Opcode.NONCE, NONCE_FIXED | NONCE_TO_ALTERNATE_KEY_BUFFER | NONCE_64_BYTES, 0, 2 * _PATTERN),
        packet(Opcode.NONCE, NONCE_FIXED | NONCE_64_BYTES, 0, 2 * _PATTERN),
        state,
        packet(Opcode.GEN_DIG, Zone.CONFIG, 0),
        state,
        packet(Opcode.GEN_DIG, GEN_DIG_COUNTER, 0),
        packet(Opcode.GEN_DIG, GEN_DIG_KEY_CONFIG, 0),
        state,
    ]


def _hashes() -> list[bytes]:
    """Hash with and without a start, and read a context before the end."""
    return [
        packet(Opcode.SHA, SHA_UPDATE, 4, _PATTERN[:4]),
        packet(Opcode.SHA, SHA_END, 0),
        packet(Opcode.SHA, SHA_READ_CONTEXT),
        packet(Opcode.SHA, SHA_START),
        packet(Opcode.SHA, SHA_UPDATE, 32, _PATTERN),
        packet(Opcode.SHA, SHA_READ_CONTEXT),
        packet(Opcode.SHA, SHA_END, 32, _PATTERN),
        packet(Opcode.INFO, INFO_STATE),
    ]


def _keys() -> list[bytes]:
    """Ask for public keys, verify signatures that fit and do not fit, and use a key that lives in TempKey only."""
    ecdh = ECDH_TO_BUS | ECDH_KEY_IN_TEMP_KEY
    return [
        *(packet(Opcode.GEN_KEY, GEN_KEY_PUBLIC, slot) for slot in range(SLOT_COUNT)),
        packet(Opcode.NONCE, NONCE_FIXED, 0, hashlib.sha256(_PATTERN).digest()),
        packet(Opcode.VERIFY, VERIFY_EXTERNAL, VERIFY_P256, signature() + public_key()),
        packet(Opcode.INFO, INFO_STATE),
        packet(Opcode.NONCE, NONCE_FIXED, 0, _PATTERN),
        packet(Opcode.VERIFY, VERIFY_EXTERNAL, VERIFY_P256, signature() + public_key()),
        packet(Opcode.NONCE, NONCE_FIXED, 0, _PATTERN),
        packet(Opcode.VERIFY, VERIFY_EXTERNAL, VERIFY_P256, signature() + 2 * _PATTERN),
        packet(Opcode.GEN_KEY, GEN_KEY_CREATE, TEMP_KEY_SLOT),
        packet(Opcode.INFO, INFO_STATE),
        packet(Opcode.ECDH, ecdh, TEMP_KEY_SLOT, 2 * _PATTERN),
        packet(Opcode.GEN_KEY, GEN_KEY_CREATE, TEMP_KEY_SLOT),
        packet(Opcode.ECDH, ecdh, TEMP_KEY_SLOT, public_key()),
    ]


def _computations() -> list[bytes]:
    load = packet(Opcode.NONCE, NONCE_FIXED, 0, _PATTERN)
    return [
        load,
        packet(Opcode.AES, AES_ENCRYPT, TEMP_KEY_SLOT, _PATTERN[:16]),
        packet(Opcode.AES, AES_GFM, TEMP_KEY_SLOT, _PATTERN),
        packet(Opcode.KDF, KDF_PRF | KDF_TO_BUS, 0, _details(KDF_PRF_32_BYTE_KEY) + _PATTERN),
        packet(Opcode.KDF, KDF_AES | KDF_TO_BUS, 0, bytes(4) + _PATTERN[:16]),
        packet(Opcode.KDF, KDF_HKDF | KDF_TO_BUS, 0, _details(KDF_MESSAGE_FROM_INPUT) + _PATTERN),
        packet(Opcode.KDF, KDF_HKDF | KDF_TO_BUS_ENCRYPTED, 0, _details() + _PATTERN),
    ]


def _details(choice: int = 0) -> bytes:
    """Return the details of KDF for a message of the pattern's length, 4 bytes."""
    return (len(_PATTERN) << KDF_LENGTH_SHIFT | choice).to_bytes(4, "little")


def signature() -> bytes:
    """Return a signature, R||S, 64 bytes, over SHA-256 of the pattern."""
    key = ec.derive_private_key(_SCALAR, ec.SECP256R1())
    der = key.sign(
        hashlib.sha256(_PATTERN).digest(), ec.ECDSA(utils.Prehashed(hashes.SHA256()), deterministic_signing=True)
    )
    return b"".join(number.to_bytes(32) for number in utils.decode_dss_signature(der))


def public_key() -> bytes:
    """Return the public key of that signature, X||Y, 64 bytes."""
    point = ec.derive_private_key(_SCALAR, ec.SECP256R1()).public_key().public_numbers()
    return point.x.to_bytes(32) + point.y.to_bytes(32)
