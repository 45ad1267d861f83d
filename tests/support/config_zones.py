"""Published configuration zones, and zones that differ from the default in one place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from atcaprov import ConfigZone, Part
from atcaprov.config_zone.defaults import DEFAULT_608A

_VECTORS: Final = Path(__file__).parent.parent / "vectors"
PUBLISHED: Final[dict[str, dict[str, Any]]] = {
    zone["id"]: zone for zone in json.loads((_VECTORS / "config-zones.json").read_text())["zones"]
}
CONVERSIONS: Final[dict[str, dict[str, Any]]] = {
    result["from"]: result
    for result in json.loads((_VECTORS / "config-zones.json").read_text())["conversion_508a_to_608"]["results"]
}
LOCK_EXAMPLE: Final[dict[str, str]] = json.loads((_VECTORS / "config-zones.json").read_text())["lock_example"]
MISTAKES: Final[dict[str, dict[str, Any]]] = {
    table["id"]: table for table in json.loads((_VECTORS / "config-zone-mistakes.json").read_text())["tables"]
}
COUNTERS: Final[list[tuple[int, bytes]]] = [
    (row["value"], bytes.fromhex(row["config_bytes"]))
    for row in json.loads((_VECTORS / "counters.json").read_text())["rows"]
]


def published(name: str) -> bytes:
    """Return the 128 bytes of a published zone; bytes 0-15 are zero."""
    return bytes(16) + bytes.fromhex(PUBLISHED[name]["bytes_16_127"])


def changed(*changes: tuple[int, str], zone: bytes = DEFAULT_608A) -> bytes:
    """Return `zone` with some bytes replaced, each given by offset and hex."""
    data = bytearray(zone)
    for byte, text in changes:
        new = bytes.fromhex(text)
        data[byte : byte + len(new)] = new
    return bytes(data)


def with_slot(number: int, slot_config: int, key_config: int, *, zone: bytes = DEFAULT_608A) -> bytes:
    """Return `zone` with the two words of a slot replaced."""
    words = (value.to_bytes(2, "little").hex() for value in (slot_config, key_config))
    return changed((20 + 2 * number, next(words)), (96 + 2 * number, next(words)), zone=zone)


def part_of(name: str) -> Part:
    """Return the part that a published zone is for; a zone for both parts counts as a 608A."""
    return Part.ATECC508A if PUBLISHED[name]["part"] == "ATECC508A" else Part.ATECC608A


def zone_of(name: str) -> ConfigZone:
    """Return a published zone with its fields."""
    return ConfigZone(published(name))
