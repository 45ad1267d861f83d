"""Compare two configuration zones: byte by byte for programs, field by field for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.config_zone.explain import explain_fields, explain_slot
from atcaprov.config_zone.zone import ConfigZone, Part

COMPARED: Final = (range(16, 84), range(88, 128))
"""The bytes that Write sets and a lock makes permanent, so a read-back must match them. Bytes 84-87 have commands of
their own."""
_UNNAMED: Final = {17: "reserved"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs: its first byte, its name, both values in hex, both meanings."""

    byte: int
    field: str
    before: str
    after: str
    before_meaning: str
    after_meaning: str

    def __str__(self) -> str:
        return f"byte {self.byte}: {self.field} {self.before} -> {self.after}"


def differing_bytes(wanted: bytes, found: bytes) -> list[int]:
    """Return the offsets in COMPARED where two zones (128 bytes each) differ."""
    first, second = ConfigZone(wanted).data, ConfigZone(found).data
    return [byte for part in COMPARED for byte in part if first[byte] != second[byte]]


def diff(before: ConfigZone, after: ConfigZone, part: Part) -> list[Difference]:
    """Return the fields that differ, in the order of their bytes; bytes 0-15 and 86-87 are left out."""
    found = [*_fields(before, after, part), *_slots(before, after), *_unnamed(before, after)]
    return sorted((each for each in found if each.before != each.after), key=lambda each: each.byte)


def _fields(before: ConfigZone, after: ConfigZone, part: Part) -> list[Difference]:
    pairs = zip(explain_fields(before, part), explain_fields(after, part), strict=True)
    return [Difference(old.byte, old.name, old.value, new.value, old.meaning, new.meaning) for old, new in pairs]


def _unnamed(before: ConfigZone, after: ConfigZone) -> list[Difference]:
    return [
        Difference(byte, name, f"{before.data[byte]:02X}", f"{after.data[byte]:02X}", "", "")
        for byte, name in _UNNAMED.items()
    ]


def _slots(before: ConfigZone, after: ConfigZone) -> list[Difference]:
    found = []
    for old, new in zip(before.slots, after.slots, strict=True):
        words = (
            (old.slot_config_byte, "SlotConfig", old.slot_config.value, new.slot_config.value),
            (old.key_config_byte, "KeyConfig", old.key_config.value, new.key_config.value),
        )
        meanings = explain_slot(old), explain_slot(new)
        found += [
            Difference(byte, f"slot {old.number} {name}", f"{was:04X}", f"{becomes:04X}", *meanings)
            for byte, name, was, becomes in words
        ]
    return found
