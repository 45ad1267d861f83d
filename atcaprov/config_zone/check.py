"""Check a configuration zone before it is permanently locked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from atcaprov.chip import memory_map
from atcaprov.config_zone.feature_rules import feature_rules
from atcaprov.config_zone.findings import Allow, Finding, Level, Product, Rule
from atcaprov.config_zone.product_rules import product_rules
from atcaprov.config_zone.slot_rules import key_reference_rules, slot_rules
from atcaprov.config_zone.zone import ConfigZone, Part
from atcaprov.config_zone.zone_rules import zone_rules
from atcaprov.errors import Code, UsageError

__all__ = ["Allow", "Finding", "Level", "Part", "Product", "Rule", "check_config_zone", "check_product", "require_safe"]

_RULES: Final = (zone_rules, feature_rules, slot_rules, key_reference_rules, product_rules)
_ORDER: Final = {Level.ERROR: 0, Level.WARNING: 1, Level.INFO: 2}


def check_config_zone(
    zone: ConfigZone | bytes,
    part: Part = Part.ATECC608,
    *,
    device_key_slot: int | None = 0,
    certificate_slots: Iterable[int] = (),
    slots_to_lock: Iterable[int] = (),
    written_slots: Collection[int] | None = None,
    allow: Iterable[Allow] = (),
) -> list[Finding]:
    """Return the findings about a zone (128 bytes): errors first, then by byte.

    Bytes 0-15 and 86-87 are not checked: no command writes them. The arguments are those of `Product`.

    Raises:
        UsageError: the zone does not have 128 bytes, or a slot number is not 0 to 15.
    """
    product = Product(
        part,
        device_key_slot,
        frozenset(certificate_slots),
        frozenset(slots_to_lock),
        None if written_slots is None else frozenset(written_slots),
        frozenset(allow),
    )
    return check_product(zone, product)


def check_product(zone: ConfigZone | bytes, product: Product) -> list[Finding]:
    """Do the same as `check_config_zone`, with the product's needs in one value."""
    _require_slots(product)
    checked = zone if isinstance(zone, ConfigZone) else ConfigZone(zone)
    found = [finding for rule in _RULES for finding in rule(checked, product)]
    return sorted(found, key=lambda finding: (_ORDER[finding.level], finding.byte))


def require_safe(
    zone: ConfigZone | bytes,
    part: Part = Part.ATECC608,
    *,
    device_key_slot: int | None = 0,
    certificate_slots: Iterable[int] = (),
    slots_to_lock: Iterable[int] = (),
    written_slots: Collection[int] | None = None,
    allow: Iterable[Allow] = (),
) -> list[Finding]:
    """Return the warnings and infos of a zone that has no errors; the arguments are those of `check_config_zone`.

    Raises:
        UsageError: the zone has errors (code config-zone-unsafe); the message lists them.
    """
    found = check_config_zone(
        zone,
        part,
        device_key_slot=device_key_slot,
        certificate_slots=certificate_slots,
        slots_to_lock=slots_to_lock,
        written_slots=written_slots,
        allow=allow,
    )
    errors = [finding for finding in found if finding.level is Level.ERROR]
    if errors:
        raise UsageError(
            "The configuration zone would harm the chip:\n" + "\n".join(f"  {finding}" for finding in errors),
            advice="Nothing was written.",
            code=Code.CONFIG_ZONE_UNSAFE,
        )
    return found


def _require_slots(product: Product) -> None:
    named = set(product.certificate_slots | product.slots_to_lock | (product.written_slots or frozenset()))
    if product.device_key_slot is not None:
        named.add(product.device_key_slot)
    strangers = sorted(number for number in named if not 0 <= number < memory_map.SLOT_COUNT)
    if strangers:
        raise UsageError(f"Slot {strangers[0]} does not exist; slots are numbered 0 to {memory_map.SLOT_COUNT - 1}.")
