"""The configuration zones of root and signer modules, and the mark by which anyone can tell a finished module.

configs/signer-module.toml gives every setting with its reason; docs/reference/signer-module-chip.md has the layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from atcaprov.chip.memory_map import CHIP_OPTIONS, COUNT_MATCH, KEY_CONFIG, SLOT_CONFIG, word_le

ModuleRole = Literal["root", "signer"]
MODULE_ROLES: Final[tuple[ModuleRole, ...]] = ("root", "signer")
"""By their number in the head of a module."""
MODULE_MARK: Final = b"ATSM"
"""Begins the head of a module."""
ROLE_OFFSET: Final = 5
"""Byte of the head that holds the number of the role."""

KEY_SLOT: Final = 0
AUTHORIZATION_SLOT: Final = 1
CHIP_SECRET_SLOT: Final = 2
WRITE_KEY_SLOT: Final = 3
LIMIT_SLOT: Final = 4
HEAD_SLOT: Final = 9
"""Anyone can read it once the data zone is locked."""

FULL_MODULE: Final = bytes.fromhex(
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
_REQ_AUTH_AND_KEY: Final = 0x0F80
_DECIDING: Final = (*range(16, 52), *range(68, 84), *range(90, 128))
"""Offsets that tell a module: all that a configuration sets but counters, lock bytes and SlotLocked."""


@dataclass(frozen=True, slots=True)
class ModuleZone:
    """What the configuration zone of a module enforces; `layout` 1 is that of chips without a secret of their own."""

    password: bool
    quota: bool
    layout: int = 2

    @property
    def config_zone(self) -> bytes:
        """The configuration zone, 128 bytes; what is not used is taken out of FULL_MODULE."""
        zone = bytearray(FULL_MODULE)
        if self.layout == 1:
            _put(zone, CHIP_OPTIONS.start, 0)
            _put_unused(zone, CHIP_SECRET_SLOT)
        if not self.password:
            _put(zone, KEY_CONFIG + 2 * KEY_SLOT, word_le(zone, KEY_CONFIG + 2 * KEY_SLOT) & ~_REQ_AUTH_AND_KEY)
            for slot in (AUTHORIZATION_SLOT, CHIP_SECRET_SLOT, WRITE_KEY_SLOT):
                _put_unused(zone, slot)
        if not self.quota:
            _put(zone, SLOT_CONFIG + 2 * KEY_SLOT, word_le(zone, SLOT_CONFIG + 2 * KEY_SLOT) & ~_LIMITED_USE)
            zone[COUNT_MATCH] = 0
        return bytes(zone)

    def fits(self, config: bytes) -> bool:
        """Tell whether a configuration zone (128 bytes), locked or not, is this one."""
        zone = self.config_zone
        return all(config[offset] == zone[offset] for offset in _DECIDING)


_MODULE_ZONES: Final = tuple(
    ModuleZone(password, quota, layout) for layout in (2, 1) for password in (True, False) for quota in (True, False)
)


def is_module_zone(config: bytes) -> bool:
    """Tell whether a configuration zone (128 bytes), locked or not, is that of a root or signer module."""
    return any(zone.fits(config) for zone in _MODULE_ZONES)


def module_role(head: bytes) -> ModuleRole | None:
    """Return the role in the head of a module, its first 6 bytes or more; None if it is not one."""
    number = head[ROLE_OFFSET]
    return MODULE_ROLES[number] if head.startswith(MODULE_MARK) and number < len(MODULE_ROLES) else None


def _put_unused(zone: bytearray, slot: int) -> None:
    _put(zone, SLOT_CONFIG + 2 * slot, _UNUSED[0])
    _put(zone, KEY_CONFIG + 2 * slot, _UNUSED[1])


def _put(zone: bytearray, offset: int, word: int) -> None:
    zone[offset : offset + 2] = word.to_bytes(2, "little")
