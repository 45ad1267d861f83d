"""How long each command may take.

Source: cryptoauthlib lib/calib/calib_execution.c, the maxima for builds without polling. The ATECC608 has one table
for each clock divider in ChipMode bits 7-3: M0 = 00, M1 = 28, M2 = 68.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from atcaprov.chip.commands import MAX_EXECUTION_MS_M0, Opcode

MAX_EXECUTION_MS_M1: Final = MappingProxyType(
    {
        **MAX_EXECUTION_MS_M0,
        Opcode.ECDH: 172,
        Opcode.GEN_DIG: 35,
        Opcode.GEN_KEY: 215,
        Opcode.SECURE_BOOT: 160,
        Opcode.SELF_TEST: 625,
        Opcode.SHA: 42,
        Opcode.SIGN: 220,
        Opcode.VERIFY: 295,
    }
)
MAX_EXECUTION_MS_M2: Final = MappingProxyType(
    {
        **MAX_EXECUTION_MS_M0,
        Opcode.ECDH: 531,
        Opcode.GEN_DIG: 35,
        Opcode.GEN_KEY: 653,
        Opcode.SECURE_BOOT: 480,
        Opcode.SELF_TEST: 2324,
        Opcode.SHA: 75,
        Opcode.SIGN: 665,
        Opcode.VERIFY: 1085,
    }
)
MAX_EXECUTION_MS_508A: Final = MappingProxyType(
    {
        Opcode.CHECK_MAC: 13,
        Opcode.COUNTER: 20,
        Opcode.DERIVE_KEY: 50,
        Opcode.ECDH: 58,
        Opcode.GEN_DIG: 11,
        Opcode.GEN_KEY: 115,
        Opcode.HMAC: 23,
        Opcode.INFO: 2,
        Opcode.LOCK: 32,
        Opcode.MAC: 14,
        Opcode.NONCE: 29,
        Opcode.PAUSE: 3,
        Opcode.PRIV_WRITE: 48,
        Opcode.RANDOM: 23,
        Opcode.READ: 5,
        Opcode.SHA: 9,
        Opcode.SIGN: 60,
        Opcode.UPDATE_EXTRA: 10,
        Opcode.VERIFY: 72,
        Opcode.WRITE: 26,
    }
)
DIVIDER_BITS: Final = 0xF8
_BY_DIVIDER: Final = MappingProxyType({0x28: MAX_EXECUTION_MS_M1, 0x68: MAX_EXECUTION_MS_M2})


def execution_times_608(chip_mode: int) -> Mapping[Opcode, int]:
    """Return the table, in milliseconds, that ChipMode (configuration byte 19) selects; M0 for unknown dividers."""
    return _BY_DIVIDER.get(chip_mode & DIVIDER_BITS, MAX_EXECUTION_MS_M0)
