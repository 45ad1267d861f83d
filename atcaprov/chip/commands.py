"""Opcodes, zones, status bytes and execution times of the command set."""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import Final


class Opcode(enum.IntEnum):
    """Command opcodes (cryptoauthlib lib/calib, packet builders)."""

    PAUSE = 0x01  # ATECC508A only
    READ = 0x02
    MAC = 0x08
    HMAC = 0x11  # ATECC508A only
    WRITE = 0x12
    GEN_DIG = 0x15
    NONCE = 0x16
    LOCK = 0x17
    RANDOM = 0x1B
    DERIVE_KEY = 0x1C
    UPDATE_EXTRA = 0x20
    COUNTER = 0x24
    CHECK_MAC = 0x28
    INFO = 0x30
    GEN_KEY = 0x40
    SIGN = 0x41
    ECDH = 0x43
    VERIFY = 0x45
    PRIV_WRITE = 0x46
    SHA = 0x47
    AES = 0x51
    KDF = 0x56
    SELF_TEST = 0x77
    SECURE_BOOT = 0x80


class Zone(enum.IntEnum):
    """Zone numbers in bits 1-0 of Read's and Write's P1."""

    CONFIG = 0
    OTP = 1
    DATA = 2


class Status(enum.IntEnum):
    """Status bytes of a four-byte reply (DS20005927A, and cryptoauthlib's isATCAError)."""

    SUCCESS = 0x00
    MISMATCH = 0x01  # CheckMac or Verify: no match
    PARSE_ERROR = 0x03
    ECC_FAULT = 0x05
    SELF_TEST_ERROR = 0x07
    HEALTH_TEST_ERROR = 0x08
    EXECUTION_ERROR = 0x0F
    AFTER_WAKE = 0x11
    WATCHDOG = 0xEE
    CRC_ERROR = 0xFF


WAKE_TOKEN: Final = bytes.fromhex("04113343")
"""What the output buffer holds after a wake: count, status 11, CRC."""
SELF_TEST_FAILED: Final = bytes.fromhex("0407")
"""How it begins after a wake whose self test failed. Firmwares send the CRC in either order."""

P1_32_BYTES: Final = 0x80
"""Read and Write: 32 bytes instead of 4."""
P1_ENCRYPTED: Final = 0x40
"""Write: the data are encrypted and carry a MAC."""
LOCK_CONFIG: Final = 0x00
LOCK_DATA: Final = 0x01
LOCK_SLOT: Final = 0x02
LOCK_NO_CRC: Final = 0x80
"""Lock without the summary CRC: locks any content; the host code never sends it."""
GEN_KEY_CREATE: Final = 0x04
GEN_KEY_PUBLIC: Final = 0x00
TEMP_KEY_SLOT: Final = 0xFFFF

MAX_EXECUTION_MS_M0: Final = MappingProxyType(
    # Source: cryptoauthlib lib/calib/calib_execution.c, ATECC608 at clock divider M0.
    {
        Opcode.AES: 27,
        Opcode.CHECK_MAC: 40,
        Opcode.COUNTER: 25,
        Opcode.DERIVE_KEY: 50,
        Opcode.ECDH: 75,
        Opcode.GEN_DIG: 25,
        Opcode.GEN_KEY: 115,
        Opcode.INFO: 5,
        Opcode.KDF: 165,
        Opcode.LOCK: 35,
        Opcode.MAC: 55,
        Opcode.NONCE: 20,
        Opcode.PRIV_WRITE: 50,
        Opcode.RANDOM: 23,
        Opcode.READ: 5,
        Opcode.SECURE_BOOT: 80,
        Opcode.SELF_TEST: 250,
        Opcode.SHA: 36,
        Opcode.SIGN: 115,
        Opcode.UPDATE_EXTRA: 10,
        Opcode.VERIFY: 105,
        Opcode.WRITE: 45,
    }
)
