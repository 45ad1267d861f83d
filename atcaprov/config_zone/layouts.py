"""Whose configuration a zone is: a new part's, atcaprov's, a module's, a Trust part's, another tool's, or unknown.

Locks, counters, address and what UpdateExtra sets are not compared, so a chip is recognized before its lock and after
years of use. The configuration of another product is unknown, also if atcaprov provisioned it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from atcaprov.chip.trust_parts import trust_part
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.locks import is_config_locked, is_data_locked
from atcaprov.config_zone.module_zones import is_module_zone
from atcaprov.config_zone.published_zones import FACTORY_ZONES, PUBLISHED_ZONES, PublishedZone, settings_of


class Layout(enum.StrEnum):
    """Kinds of configurations."""

    FACTORY = "factory"
    DEFAULT = "default"
    MODULE = "module"
    TRUST = "trust"
    PUBLISHED = "published"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class FoundLayout:
    """What was found: the kind, its name for people, and where the table is published if it is not ours."""

    layout: Layout
    name: str
    source: str = ""


def layout_of(config: bytes) -> FoundLayout:
    """Return whose configuration a zone (128 bytes) is, locked or not."""
    trust = trust_part(config)
    if trust is not None:
        return FoundLayout(Layout.TRUST, trust.name, "Microchip's data sheet of the part")
    if settings_of(DEFAULT_608A).items() <= dict(enumerate(config)).items():
        return FoundLayout(Layout.DEFAULT, "atcaprov's default configuration")
    if is_module_zone(config):
        return FoundLayout(Layout.MODULE, "a root or signer module")
    factory = _first(FACTORY_ZONES, config)
    if factory is not None:
        return FoundLayout(Layout.FACTORY, factory.name, factory.source)
    other = _first(PUBLISHED_ZONES, config)
    if other is not None:
        return FoundLayout(Layout.PUBLISHED, other.name, other.source)
    return FoundLayout(Layout.UNKNOWN, "a configuration that is not known here")


def _first(tables: tuple[PublishedZone, ...], config: bytes) -> PublishedZone | None:
    """Return the table that fits best: one with the same address before another."""
    fitting = [table for table in tables if table.fits(config)]
    return next((table for table in fitting if table.address == config[16]), fitting[0] if fitting else None)


def belongs_to(config: bytes) -> str | None:
    """Return in words to whom a chip with this locked zone (128 bytes) belongs, to complete `This chip is ...`.

    None: unknown, or the zone is not locked.
    """
    if not is_config_locked(config):
        return None
    found = layout_of(config)
    half = "" if is_data_locked(config) else ", not finished"
    match found.layout:
        case Layout.TRUST:
            return f"a Trust part (ATECC608 {found.name}), which its maker delivers locked"
        case Layout.DEFAULT:
            return f"a product with atcaprov's default configuration{half}"
        case Layout.MODULE:
            return f"a root or signer module{half}"
        case Layout.FACTORY:
            return "locked with the configuration of a new part, as esp_cryptoauth_utility does"
        case Layout.PUBLISHED:
            return f"locked with the configuration of {found.name}"
    return None
