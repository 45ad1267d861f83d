"""Sizes of the zones and slots, and where the configuration zone keeps each field.

Source: DS20005927A (ATECC508A) tables of the memory organisation; the ATECC608 meanings from the public
cryptoauthlib sources and AN3539.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

CONFIG_SIZE: Final = 128
OTP_SIZE: Final = 64
BLOCK_SIZE: Final = 32
WORD_SIZE: Final = 4
SERIAL_SIZE: Final = 9
PUBLIC_KEY_SIZE: Final = 64
SLOT_SIZES: Final[tuple[int, ...]] = (36,) * 8 + (416,) + (72,) * 7
SLOT_COUNT: Final = len(SLOT_SIZES)

# Offsets in the configuration zone.
REVISION: Final = slice(4, 8)  # not what identifies a part: see atcaprov.chip.parts
I2C_ADDRESS: Final = 16
COUNT_MATCH: Final = 18  # ATECC608; OTPmode on the ATECC508A
CHIP_MODE: Final = 19
SLOT_CONFIG: Final = 20  # 16 little-endian words
COUNTERS: Final = slice(52, 68)
USE_LOCK: Final = 68
VOLATILE_KEY_PERMISSION: Final = 69
SECURE_BOOT: Final = slice(70, 72)
KDF_IV_LOC: Final = 72
KDF_IV_STR: Final = slice(73, 75)
RESERVED_608: Final = slice(75, 84)
FIELDS_608: Final = slice(68, 84)  # LastKeyUse on the ATECC508A
USER_EXTRA: Final = 84
USER_EXTRA_ADD: Final = 85
LOCK_VALUE: Final = 86
LOCK_CONFIG: Final = 87
SLOT_LOCKED: Final = slice(88, 90)  # little-endian, bit n = slot n, 1 = unlocked
CHIP_OPTIONS: Final = slice(90, 92)
X509_FORMAT: Final = slice(92, 96)
KEY_CONFIG: Final = 96  # 16 little-endian words

UNLOCKED: Final = 0x55
LOCKED: Final = 0x00

# KeyType of KeyConfig bits 4-2.
KEY_TYPE_P256: Final = 4
KEY_TYPE_AES: Final = 6
KEY_TYPE_OTHER: Final = 7


def serial_number(config: bytes) -> bytes:
    """Return the 9-byte serial number out of the first 13 bytes or more of a configuration zone."""
    return bytes(config[0:4] + config[8:13])


def word_le(config: bytes | bytearray, offset: int) -> int:
    """Return the 16-bit little-endian word at `offset`."""
    return config[offset] | config[offset + 1] << 8


def slot_config(config: bytes, slot: int) -> int:
    """Return SlotConfig of `slot` as a 16-bit number."""
    return word_le(config, SLOT_CONFIG + 2 * slot)


def key_config(config: bytes, slot: int) -> int:
    """Return KeyConfig of `slot` as a 16-bit number."""
    return word_le(config, KEY_CONFIG + 2 * slot)


def slots_text(slots: Collection[int]) -> str:
    """Return the numbers of one or several slots as `slot 10` or `slots 10, 11`."""
    return f"slot{'s' if len(slots) > 1 else ''} {', '.join(map(str, slots))}"
