"""Turn an ATECC508A table into one that is safe on an ATECC608."""

from __future__ import annotations

from typing import Final

from atcaprov.chip import memory_map
from atcaprov.config_zone.zone import ConfigZone

_CLOCK_DIVIDER: Final = 0b1111_1000


def convert_508a_to_608(zone: bytes) -> bytes:
    """Return a 508A zone (128 bytes) by the rule of Microchip AN3539.

    CountMatch, the clock divider, bytes 68-83, UserExtraAdd and ChipOptions become 0, so that nothing of the 608 is
    turned on; all else stays. Bits whose meaning changed (KeyConfig bit 12, PubInfo of data, KeyType 6, LimitedUse)
    stay too: `check` for the 608 speaks of them.

    Raises:
        UsageError: not 128 bytes.
    """
    converted = bytearray(ConfigZone(zone).data)
    converted[memory_map.COUNT_MATCH] = 0
    converted[memory_map.CHIP_MODE] &= ~_CLOCK_DIVIDER
    converted[memory_map.FIELDS_608] = bytes(16)
    converted[memory_map.USER_EXTRA_ADD] = 0
    converted[memory_map.CHIP_OPTIONS] = bytes(2)
    return bytes(converted)
