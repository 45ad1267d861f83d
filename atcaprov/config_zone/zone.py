"""The configuration zone as an immutable value with a name for every field.

Offsets are in atcaprov.chip.memory_map; meanings are from DS20005927A (ATECC508A), AN3539 and the public cryptoauthlib
sources (ATECC608).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from atcaprov.chip import memory_map
from atcaprov.config_zone import locks
from atcaprov.config_zone.slot import KeyConfig, Slot, SlotConfig
from atcaprov.config_zone.zone_fields import ChipMode, ChipOptions, SecureBoot
from atcaprov.errors import Code, UsageError


class Part(enum.StrEnum):
    """The parts whose zones are known; all of the ATECC608 family mean the same."""

    ATECC508A = "ATECC508A"
    ATECC608 = "ATECC608"
    ATECC608A = "ATECC608A"
    ATECC608B = "ATECC608B"
    ATECC608C = "ATECC608C"

    @property
    def is_608(self) -> bool:
        """The ATECC608 meanings of the fields apply."""
        return self is not Part.ATECC508A


def address_text(address: int) -> str:
    """Return an I2C address in both forms."""
    return f"{address:02X} (7-bit 0x{address >> 1:02X})"


@dataclass(frozen=True)
class ConfigZone:
    """The 128 bytes of a configuration zone.

    Raises:
        UsageError: `data` has another length (code config-zone-invalid).
    """

    data: bytes

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", bytes(self.data))
        if len(self.data) != memory_map.CONFIG_SIZE:
            raise UsageError(
                f"A configuration zone has {memory_map.CONFIG_SIZE} bytes, this one has {len(self.data)}.",
                code=Code.CONFIG_ZONE_INVALID,
            )

    @property
    def serial_number(self) -> bytes:
        """SN, 9 bytes; meaningless in a zone from a file."""
        return memory_map.serial_number(self.data)

    @property
    def revision(self) -> bytes:
        """RevNum, 4 bytes; it does not tell the part (see atcaprov.chip.parts)."""
        return self.data[memory_map.REVISION]

    @property
    def i2c_address(self) -> int:
        """Byte 16: the address in its 8-bit form (C0 is 60 in 7 bits)."""
        return self.data[memory_map.I2C_ADDRESS]

    @property
    def count_match(self) -> int:
        """Byte 18: CountMatch of the 608, OTPmode of the 508A."""
        return self.data[memory_map.COUNT_MATCH]

    @property
    def count_match_enabled(self) -> bool:
        """608: LimitedUse keys end at the count in slot `count_match_slot`."""
        return bool(self.count_match & 1)

    @property
    def count_match_slot(self) -> int:
        """608: slot of the limit."""
        return self.count_match >> 4

    @property
    def chip_mode(self) -> ChipMode:
        """Byte 19."""
        return ChipMode(self.data[memory_map.CHIP_MODE])

    @property
    def counters(self) -> tuple[bytes, bytes]:
        """Counter 0 and Counter 1, 8 bytes each, as stored."""
        stored = self.data[memory_map.COUNTERS]
        return stored[:8], stored[8:]

    @property
    def use_lock(self) -> int:
        """608: byte 68; the low nibble A enables, the high nibble is a slot."""
        return self.data[memory_map.USE_LOCK]

    @property
    def volatile_key_permission(self) -> int:
        """608: byte 69; bit 7 enables, bits 3-0 are a slot."""
        return self.data[memory_map.VOLATILE_KEY_PERMISSION]

    @property
    def volatile_key_permission_enabled(self) -> bool:
        """608: bit 7 of byte 69."""
        return bool(self.volatile_key_permission >> 7)

    @property
    def secure_boot(self) -> SecureBoot:
        """608: bytes 70-71."""
        return SecureBoot(int.from_bytes(self.data[memory_map.SECURE_BOOT], "little"))

    @property
    def kdf_iv(self) -> bytes:
        """608: KdfIvLoc and KdfIvStr, 3 bytes."""
        return self.data[memory_map.KDF_IV_LOC : memory_map.KDF_IV_STR.stop]

    @property
    def last_key_use(self) -> bytes:
        """508A: bytes 68-83, the counter of slot 15; on the 608 these bytes are other fields."""
        return self.data[memory_map.FIELDS_608]

    @property
    def user_extra(self) -> int:
        """Byte 84; only UpdateExtra writes it."""
        return self.data[memory_map.USER_EXTRA]

    @property
    def user_extra_address(self) -> int:
        """Byte 85: UserExtraAdd of the 608, Selector of the 508A; only UpdateExtra writes it."""
        return self.data[memory_map.USER_EXTRA_ADD]

    @property
    def config_locked(self) -> bool:
        """The zone is locked; only a zone read from a chip can tell."""
        return locks.is_config_locked(self.data)

    @property
    def data_locked(self) -> bool:
        """Data and OTP are locked; only a zone read from a chip can tell."""
        return locks.is_data_locked(self.data)

    @property
    def slot_locked(self) -> int:
        """Bytes 88-89 as a number: bit n is slot n, and 1 means unlocked."""
        return locks.open_slots(self.data)

    @property
    def chip_options(self) -> ChipOptions:
        """608: bytes 90-91."""
        return ChipOptions(int.from_bytes(self.data[memory_map.CHIP_OPTIONS], "little"))

    @property
    def x509_format(self) -> bytes:
        """Bytes 92-95."""
        return self.data[memory_map.X509_FORMAT]

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """The 16 slots in order."""
        return tuple(self._slot(number) for number in range(memory_map.SLOT_COUNT))

    def _slot(self, number: int) -> Slot:
        return Slot(
            number,
            SlotConfig(memory_map.slot_config(self.data, number)),
            KeyConfig(memory_map.key_config(self.data, number)),
            open=bool(self.slot_locked >> number & 1),
        )


_CLOCK_DIVIDER: Final = 0b1111_1000


def convert_508a_to_608(zone: bytes) -> bytes:
    """Return a 508A zone (128 bytes) by the rule of Microchip AN3539.

    CountMatch, the clock divider, bytes 68-83, UserExtraAdd and ChipOptions become 0, so that no feature of the 608 is
    turned on; everything else stays. Bits whose meaning changed (KeyConfig bit 12, PubInfo of data, KeyType 6,
    LimitedUse) stay, too: `check_config_zone` reports them.

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
