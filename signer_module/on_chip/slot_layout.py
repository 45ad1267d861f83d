"""Which slot of a root or signer module holds what, and the configuration zone that makes the chip enforce it.

configs/signer-module.toml gives every setting with its reason; docs/reference/signer-module-chip.md has the layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.chip.memory_map import COUNT_MATCH, KEY_CONFIG, SLOT_CONFIG, SLOT_SIZES

KEY_SLOT: Final = 0
AUTHORIZATION_SLOT: Final = 1
CHIP_SECRET_SLOT: Final = 2
WRITE_KEY_SLOT: Final = 3
LIMIT_SLOT: Final = 4
HEAD_SLOT: Final = 9
CERTIFICATE_SLOT: Final = 10
PUBLIC_KEY_SLOT: Final = 11
ROOT_KEY_SLOT: Final = 12
DESCRIPTION_SLOTS: Final = (8, 13, 14, 15, 5, 6, 7)
DESCRIPTION_IN_OTP: Final = 36
"""What does not fit the slots stands at the beginning of the OTP zone."""
FIRST_DESCRIPTION_SLOTS: Final = (8, 13, 14, 15, 2, 5, 6, 7)
"""Those of the first layout, which had no secret of the chip."""
DESCRIPTION_SIZE: Final = sum(SLOT_SIZES[slot] for slot in DESCRIPTION_SLOTS) + DESCRIPTION_IN_OTP

USE_COUNTER: Final = 0
"""Advanced by the chip with each signature of a module with quota."""
WRONG_PASSWORD_COUNTER: Final = 1
"""Advanced by the host for each wrong password."""

FULL: Final = bytes.fromhex(
    """
    00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
    C0 00 41 00 A1 00 9F 43  8F 8F 8F 43 0F 8F 0F 8F
    0F 8F 0F 8F 0F 8F 0F 8F  0F 8F 0F 8F 0F 8F 0F 8F
    0F 8F 0F 8F FF FF FF FF  00 00 00 00 FF FF FF FF
    00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00
    00 00 00 00 00 00 55 55  FF FF 00 0F 00 00 00 00
    93 01 5C 00 1C 00 DC 01  1C 00 1C 00 1C 00 1C 00
    1C 00 1C 00 1C 00 1C 00  1C 00 1C 00 1C 00 1C 00
    """
)
"""The configuration with password and quota, 128 bytes."""

_UNUSED: Final = (0x8F0F, 0x001C)
_LIMITED_USE: Final = 0x0020
_CHIP_OPTIONS: Final = 90
_REQ_AUTH_AND_KEY: Final = 0x0F80


@dataclass(frozen=True, slots=True)
class Variant:
    """What the chip of a module enforces; `layout` 1 is that of modules made before chips had a secret of their own."""

    password: bool
    quota: bool
    layout: int = 2

    def __str__(self) -> str:
        return f"{'with' if self.password else 'without'} password and {'with' if self.quota else 'without'} quota"

    @property
    def config_zone(self) -> bytes:
        """The configuration zone, 128 bytes; what is not used is taken out of FULL."""
        zone = bytearray(FULL)
        if self.layout == 1:
            _put(zone, _CHIP_OPTIONS, 0)
            _put_unused(zone, CHIP_SECRET_SLOT)
        if not self.password:
            _put(zone, KEY_CONFIG + 2 * KEY_SLOT, _get(zone, KEY_CONFIG + 2 * KEY_SLOT) & ~_REQ_AUTH_AND_KEY)
            for slot in (AUTHORIZATION_SLOT, CHIP_SECRET_SLOT, WRITE_KEY_SLOT):
                _put_unused(zone, slot)
        if not self.quota:
            _put(zone, SLOT_CONFIG + 2 * KEY_SLOT, _get(zone, SLOT_CONFIG + 2 * KEY_SLOT) & ~_LIMITED_USE)
            zone[COUNT_MATCH] = 0
        return bytes(zone)

    @property
    def description_parts(self) -> list[tuple[int | None, int]]:
        """Where the description stands: slot, or None for the OTP zone, and size in bytes."""
        if self.layout == 1:
            return [(slot, SLOT_SIZES[slot]) for slot in FIRST_DESCRIPTION_SLOTS]
        return [*((slot, SLOT_SIZES[slot]) for slot in DESCRIPTION_SLOTS), (None, DESCRIPTION_IN_OTP)]

    @property
    def has_chip_secret(self) -> bool:
        """Whether a password is mixed with a secret of the chip."""
        return self.password and self.layout > 1


VARIANTS: Final = tuple(
    Variant(password, quota, layout) for layout in (2, 1) for password in (True, False) for quota in (True, False)
)
_DECIDING: Final = (*range(16, 52), *range(68, 84), *range(90, 128))
"""Offsets that tell a module: all that a configuration sets but counters, lock bytes and SlotLocked."""


def variant_of(config: bytes) -> Variant | None:
    """Return the variant that a configuration zone (128 bytes) is, whether locked or not; None if it is another."""
    for variant in VARIANTS:
        zone = variant.config_zone
        if all(config[offset] == zone[offset] for offset in _DECIDING):
            return variant
    return None


def _put_unused(zone: bytearray, slot: int) -> None:
    _put(zone, SLOT_CONFIG + 2 * slot, _UNUSED[0])
    _put(zone, KEY_CONFIG + 2 * slot, _UNUSED[1])


def _get(zone: bytearray, offset: int) -> int:
    return int.from_bytes(zone[offset : offset + 2], "little")


def _put(zone: bytearray, offset: int, word: int) -> None:
    zone[offset : offset + 2] = word.to_bytes(2, "little")
