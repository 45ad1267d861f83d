"""Which slot of a root or signer module holds what; docs/reference/signer-module-chip.md has the layout.

The configuration zone that makes the chip enforce it is in `atcaprov.config_zone.module_zones`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.config_zone.module_zones import (
    AUTHORIZATION_SLOT,
    CHIP_SECRET_SLOT,
    HEAD_SLOT,
    KEY_SLOT,
    LIMIT_SLOT,
    WRITE_KEY_SLOT,
    ModuleZone,
)

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


@dataclass(frozen=True, slots=True)
class Variant(ModuleZone):
    """What the chip of a module enforces; `layout` 1 is that of modules made before chips had a secret of their own."""

    def __str__(self) -> str:
        return f"{'with' if self.password else 'without'} password and {'with' if self.quota else 'without'} quota"

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


def variant_of(config: bytes) -> Variant | None:
    """Return the variant that a configuration zone (128 bytes) is, whether locked or not; None if it is another."""
    return next((variant for variant in VARIANTS if variant.fits(config)), None)


__all__ = [
    "AUTHORIZATION_SLOT",
    "CHIP_SECRET_SLOT",
    "HEAD_SLOT",
    "KEY_SLOT",
    "LIMIT_SLOT",
    "WRITE_KEY_SLOT",
    "Variant",
]
