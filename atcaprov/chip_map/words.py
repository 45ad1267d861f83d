"""Sentences about a map, for readers of the screen and for those who point at a row."""

from __future__ import annotations

from collections.abc import Iterator

from atcaprov.chip_map.access import Moment, Right
from atcaprov.chip_map.model import ChipMap, SlotMap


def description_of(drawn: ChipMap) -> str:
    """Return the whole map in sentences: what a picture cannot tell those who do not see it."""
    return " ".join([f"{drawn.part}.", drawn.state, *(slot_sentence(slot, drawn) for slot in drawn.slots)]).strip()


def slot_sentence(slot: SlotMap, drawn: ChipMap) -> str:
    """Return a slot in sentences: what it is, who may do what at which moment, and its bonds."""
    parts = [f"Slot {slot.number}, {slot.size} bytes: {slot.explained}."]
    parts += [f"{text}." for text in (slot.purpose, slot.content and f"It holds {slot.content}", *slot.roles) if text]
    parts += [f"{right}: {'; '.join(_moments(slot, right))}." for right in Right]
    parts += [f"{str(bond).capitalize()}." for bond in drawn.bonds_of(slot.number)]
    if slot.other:
        parts.append(f"In {drawn.against}: {slot.other}.")
    return " ".join(parts)


def _moments(slot: SlotMap, right: Right) -> Iterator[str]:
    before = ""
    for moment, cell in zip(Moment, slot.access.cells[right], strict=True):
        if cell.words != before:
            yield f"{moment.words} {cell.words}"
        before = cell.words


def change_sentence(slot: SlotMap) -> str:
    """Return what the slot is in the configuration that the map is compared with."""
    return f"\u2260 there: {slot.other}"
