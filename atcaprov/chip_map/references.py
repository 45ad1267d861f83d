"""Which slots encrypt, authorize, validate or fill which others, and which settings of the zone name a slot."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from atcaprov.chip_map.access import Moment, SlotAccess, SlotUses
from atcaprov.config_zone.slot import DeriveRule
from atcaprov.config_zone.zone import ConfigZone, Part
from atcaprov.rehearsal.needs import NeedKind


class Bond(enum.StrEnum):
    """What one slot does for another."""

    ENCRYPTS = "encrypts"
    AUTHORIZES = "authorizes"
    VALIDATES = "validates"
    FILLS = "fills"

    @property
    def words(self) -> str:
        """What the bond means, after the number of the slot that acts."""
        return {
            "encrypts": "is the key for encrypted reads or writes of",
            "authorizes": "must authorize the use of",
            "validates": "validates the public key in",
            "fills": "puts a result or a derived key into",
        }[self]

    @property
    def passive(self) -> str:
        """What the bond means for the slot that is acted on."""
        return {
            "encrypts": "encrypted by",
            "authorizes": "authorized by",
            "validates": "validated by",
            "fills": "filled by",
        }[self]


@dataclass(frozen=True, order=True)
class Reference:
    """One slot (`source`) acts on another (`target`) after the data lock."""

    source: int
    bond: Bond
    target: int

    def __str__(self) -> str:
        return f"slot {self.source} {self.bond.words} slot {self.target}"


_BONDS: Final = {
    NeedKind.GEN_DIG: Bond.ENCRYPTS,
    NeedKind.CHECK_MAC: Bond.AUTHORIZES,
    NeedKind.VERIFY: Bond.AUTHORIZES,
    NeedKind.MAC: Bond.AUTHORIZES,
    NeedKind.ECDH_BY: Bond.FILLS,
}
_ANY_SLOT: Final = "used to sign inside"
"""The rehearsal signs over the first slot that it can; no setting names it."""


def references_of(zone: ConfigZone, access: Sequence[SlotAccess]) -> tuple[Reference, ...]:
    """Return the bonds between slots after the data lock, in the order of the slots that act."""
    found = {
        reference
        for number, slot in enumerate(access)
        for reference in _of_slot(zone, number, slot.uses[Moment.DATA_LOCKED])
    }
    return tuple(sorted(reference for reference in found if reference.source != reference.target))


def _of_slot(zone: ConfigZone, number: int, uses: SlotUses) -> Iterator[Reference]:
    for use, needs in uses.items():
        if use == _ANY_SLOT:
            continue
        for need in needs:
            bond = _BONDS.get(need.kind)
            if bond is not None and need.slot is not None:
                yield Reference(need.slot, bond, number)
    config = zone.slots[number].slot_config
    if "validated by its parent" in uses:
        yield Reference(config.read_key, Bond.VALIDATES, number)
    if "replaced by DeriveKey" in uses and config.derive is DeriveRule.CREATE:
        yield Reference(config.write_key, Bond.FILLS, number)


def roles_of(zone: ConfigZone, part: Part) -> dict[int, tuple[str, ...]]:
    """Return for each slot that a setting of the whole zone names, what it is there."""
    roles: dict[int, list[str]] = {}
    for number, role in _roles(zone) if part.is_608 else ():
        roles.setdefault(number, []).append(role)
    return {number: tuple(found) for number, found in roles.items()}


def _roles(zone: ConfigZone) -> Iterator[tuple[int, str]]:
    if zone.count_match_enabled:
        yield zone.count_match_slot, "limit of the counted keys"
    if zone.volatile_key_permission_enabled:
        yield zone.volatile_key_permission & 0xF, "sets the latch"
    if zone.secure_boot.mode:
        yield zone.secure_boot.key_slot, "secure boot: public key"
        yield zone.secure_boot.digest_slot, "secure boot: digest"
    if zone.chip_options.io_protection:
        yield zone.chip_options.io_key_slot, "IO protection key"
