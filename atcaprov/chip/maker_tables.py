"""The configuration that a Trust part is delivered with, and what of it is chosen when it is ordered.

Bytes 16 to 127 are those of a published reading of an ATECC608B-TFLXTLS (cryptoauth_test readcfg), and GRiSP writes the
same to blank parts, after the TFLXTLS; the data sheets of the 608A and 608C give the same address and slots.

What an order chooses is in the data sheet's sections on slot locking and secure boot: each lockable slot can be made
permanent, and the key in slot 0 can depend on the secure boot. How a permanent slot is written is seen in a published
reading of an early ATECC608A-TNGTLS: WriteConfig becomes Never and Lockable becomes 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from atcaprov.chip.memory_map import (
    CHIP_OPTIONS,
    CONFIG_SIZE,
    COUNTERS,
    I2C_ADDRESS,
    KEY_CONFIG,
    SECURE_BOOT,
    SLOT_CONFIG,
    USE_LOCK,
    USER_EXTRA,
)
from atcaprov.chip.trust_parts import TFLXTLS, TrustPart

_LOCKABLE: Final = 0x20  # in the low byte of KeyConfig
_PERSISTENT_DISABLE: Final = 0x10  # in the high byte of KeyConfig
_GEN_KEY: Final = 0x20  # in the high byte of a private key's SlotConfig
_WRITE_RULE: Final = 0xFF  # the high byte of SlotConfig: WriteConfig and WriteKey
_PERSISTENT_LATCH: Final = 0x08  # in the low byte of SecureBoot
_PRIVATE_KEYS: Final = range(5)
_COMPARED: Final = (
    range(I2C_ADDRESS, COUNTERS.start),
    range(USE_LOCK, USER_EXTRA),
    range(CHIP_OPTIONS.start, CONFIG_SIZE),
)
"""All but the serial number, the counters, and what Lock and UpdateExtra change during a part's life."""


@dataclass(frozen=True)
class MakerTable:
    """The configuration zone (128 bytes, locked) of one Trust part; `chosen` has the bits that an order decides."""

    part: TrustPart
    config: bytes
    chosen: bytes

    def differing_bytes(self, config: bytes) -> list[int]:
        """Return where a zone (128 bytes) differs from the table in what no order decides, and no life of a part."""
        return [
            offset for offset in _compared() if (config[offset] ^ self.config[offset]) & ~self.chosen[offset] & 0xFF
        ]


def _compared() -> Iterator[int]:
    for offsets in _COMPARED:
        yield from offsets


def _chosen_for_tflxtls() -> bytes:
    mask = bytearray(CONFIG_SIZE)
    for slot in TFLXTLS.lockable_slots:
        mask[KEY_CONFIG + 2 * slot] |= _LOCKABLE
        mask[SLOT_CONFIG + 2 * slot + 1] |= _GEN_KEY if slot in _PRIVATE_KEYS else _WRITE_RULE
    mask[KEY_CONFIG + 1] |= _PERSISTENT_DISABLE
    mask[SECURE_BOOT.start] |= _PERSISTENT_LATCH
    return bytes(mask)


TFLXTLS_TABLE: Final = MakerTable(
    TFLXTLS,
    bytes(16)
    + bytes.fromhex(
        "6c000001850082008520852085208f468f0f9f8f0f0f8f0f0f0f0f0f0f0f0f0f"
        "0d1f0f0fffffffff00000000ffffffff00000000000003f70069760000000000"
        "0000000000000000ffff0e60000000005300530073007300730038007c001c00"
        "3c001a003c0030003c00300012003000"
    ),
    _chosen_for_tflxtls(),
)
"""Without a serial number; no slot is locked."""
