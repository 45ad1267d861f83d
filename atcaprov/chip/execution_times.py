"""How long each command takes: typical and at most, in milliseconds.

| Table | Source |
|---|---|
| ATECC608, maximum | cryptoauthlib lib/calib/calib_execution.c, for builds without polling |
| ATECC508A, both | DS20005927A, table 9-4. Its maxima of Info, Read, Nonce, Sign and Verify are below the library's |
| ATECC608, typical | not published; chosen here, see `TYPICAL_EXECUTION_MS_M0` |

The ATECC608 has one table for each clock divider in ChipMode bits 7-3: M0 = 00, M1 = 28, M2 = 68.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from atcaprov.chip.commands import MAX_EXECUTION_MS_M0, Opcode


class Times(enum.StrEnum):
    """Which of the two tables applies."""

    TYPICAL = "typical"
    """Like most chips. A refused command takes as long as Info, as it is usually answered early (DS20005927A)."""
    MAXIMUM = "maximum"
    """Like the slowest part on sale, for refused commands, too."""


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
MAX_EXECUTION_MS_508A: Final[Mapping[Opcode, int]] = MappingProxyType(
    {
        Opcode.CHECK_MAC: 13,
        Opcode.COUNTER: 20,
        Opcode.DERIVE_KEY: 50,
        Opcode.ECDH: 58,
        Opcode.GEN_DIG: 11,
        Opcode.GEN_KEY: 115,
        Opcode.HMAC: 23,
        Opcode.INFO: 1,
        Opcode.LOCK: 32,
        Opcode.MAC: 14,
        Opcode.NONCE: 7,
        Opcode.PAUSE: 3,
        Opcode.PRIV_WRITE: 48,
        Opcode.RANDOM: 23,
        Opcode.READ: 1,
        Opcode.SHA: 9,
        Opcode.SIGN: 50,
        Opcode.UPDATE_EXTRA: 10,
        Opcode.VERIFY: 58,
        Opcode.WRITE: 26,
    }
)
"""Shipped firmware waits 30 ms for a Nonce of such a part (Coldcard), so a program had better not count on these 7."""
TYPICAL_EXECUTION_MS_508A: Final[Mapping[Opcode, float]] = MappingProxyType(
    {
        Opcode.CHECK_MAC: 5,
        Opcode.COUNTER: 5,
        Opcode.DERIVE_KEY: 2,
        Opcode.ECDH: 38,
        Opcode.GEN_DIG: 5,
        Opcode.GEN_KEY: 11,
        Opcode.HMAC: 13,
        Opcode.INFO: 0.1,
        Opcode.LOCK: 8,
        Opcode.MAC: 5,
        Opcode.NONCE: 0.1,
        Opcode.PAUSE: 0.1,
        Opcode.PRIV_WRITE: 0.8,
        Opcode.RANDOM: 1,
        Opcode.READ: 0.1,
        Opcode.SHA: 7,
        Opcode.SIGN: 42,
        Opcode.UPDATE_EXTRA: 8,
        Opcode.VERIFY: 38,
        Opcode.WRITE: 7,
    }
)
TYPICAL_EXECUTION_MS_M0: Final[Mapping[Opcode, float]] = MappingProxyType(
    {
        Opcode.AES: 14,
        Opcode.CHECK_MAC: 15,
        Opcode.COUNTER: 6,
        Opcode.DERIVE_KEY: 2,
        Opcode.ECDH: 49,
        Opcode.GEN_DIG: 11,
        Opcode.GEN_KEY: 11,
        Opcode.INFO: 0.3,
        Opcode.KDF: 83,
        Opcode.LOCK: 9,
        Opcode.MAC: 20,
        Opcode.NONCE: 0.1,
        Opcode.PRIV_WRITE: 0.8,
        Opcode.RANDOM: 1,
        Opcode.READ: 0.1,
        Opcode.SECURE_BOOT: 42,
        Opcode.SELF_TEST: 125,
        Opcode.SHA: 9,
        Opcode.SIGN: 70,
        Opcode.UPDATE_EXTRA: 8,
        Opcode.VERIFY: 55,
        Opcode.WRITE: 12,
    }
)
"""Chosen: the typical time of the ATECC508A times the ratio of the library's maxima of both parts; SecureBoot as
Verify; of AES, KDF and SelfTest half the maximum. SHA and Sign would be longer (28, 80): they are what drivers wait for
that ask once and work with the part (jmcpheron/picowallet 9 ms, adafruit_atecc 70). Round trips on a real ATECC608A
(picowallet, UPSTREAM.md, section 3b) agree: less bus, wake and wait, nothing is left of Info and Read (wait 2 ms),
Counter (20), Random (25) and SelfTest (250)."""


def _slower(typical: Mapping[Opcode, float], maximum: Mapping[Opcode, int]) -> Mapping[Opcode, float]:
    """Return typical times for a divider that stretches the maxima of M0 to these."""
    stretched = {opcode: time * maximum[opcode] / MAX_EXECUTION_MS_M0[opcode] for opcode, time in typical.items()}
    return MappingProxyType(stretched)


class ExecutionTimes(NamedTuple):
    """Both tables of a part."""

    typical: Mapping[Opcode, float]
    maximum: Mapping[Opcode, float]

    def of(self, times: Times) -> Mapping[Opcode, float]:
        """Return one of them."""
        return self.typical if times is Times.TYPICAL else self.maximum


DIVIDER_BITS: Final = 0xF8
EXECUTION_TIMES_508A: Final = ExecutionTimes(TYPICAL_EXECUTION_MS_508A, MAX_EXECUTION_MS_508A)
_EXECUTION_TIMES_M0: Final = ExecutionTimes(TYPICAL_EXECUTION_MS_M0, MAX_EXECUTION_MS_M0)
_SLOWER: Final[Mapping[int, ExecutionTimes]] = MappingProxyType(
    {
        divider: ExecutionTimes(_slower(TYPICAL_EXECUTION_MS_M0, maximum), maximum)
        for divider, maximum in ((0x28, MAX_EXECUTION_MS_M1), (0x68, MAX_EXECUTION_MS_M2))
    }
)


def execution_times_608(chip_mode: int) -> ExecutionTimes:
    """Return the tables, in milliseconds, that ChipMode (configuration byte 19) selects; M0 for unknown dividers."""
    return _SLOWER.get(chip_mode & DIVIDER_BITS, _EXECUTION_TIMES_M0)
