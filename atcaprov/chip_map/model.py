"""The map of a chip: what each slot is for, who may read, change and use it, and what the whole zone sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from atcaprov.chip.memory_map import SLOT_LOCKED
from atcaprov.chip_map.access import Moment, Right, SlotAccess, access_of
from atcaprov.chip_map.references import Bond, Reference, references_of, roles_of
from atcaprov.config_zone.diff import Difference, diff
from atcaprov.config_zone.explain import FieldText, explain_fields, explain_slot
from atcaprov.config_zone.findings import Product
from atcaprov.config_zone.zone import ConfigZone, Part
from atcaprov.rehearsal.rehearsal import rehearse

NO_TEXTS: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True)
class SlotMap:
    """One slot of the map.

    `explained` is what the configuration says; `purpose` what its author wrote, `content` what a real chip holds there
    (each empty if not known); `roles` what settings of the whole zone use it for. `now` is the moment at which a real
    chip stands, None for a file. `other` is the slot of the configuration that this one is compared with, if they
    differ, and `different` the places where they do.
    """

    number: int
    size: int
    explained: str
    purpose: str
    content: str
    roles: tuple[str, ...]
    access: SlotAccess
    now: Moment | None
    other: str = ""
    different: frozenset[tuple[Right, Moment]] = frozenset()

    @property
    def kind(self) -> str:
        """What the slot is, in the words of `explain_slot`."""
        return self.explained.partition(";")[0]

    @property
    def rules(self) -> str:
        """What it allows, in the words of `explain_slot`."""
        return self.explained.partition("; ")[2]

    @property
    def size_is_told(self) -> bool:
        """Whether `kind` says the size."""
        return self.kind.endswith(" bytes")

    def in_words(self, right: Right) -> str:
        """Return the answer at the moment that is given in words: now, or for a file after the data lock."""
        return self.access.cells[right][Moment.DATA_LOCKED if self.now is None else self.now].words


@dataclass(frozen=True)
class FieldMap:
    """A field of the whole zone; `other` is the field of the configuration that it is compared with, if they differ."""

    text: FieldText
    other: FieldText | None = None


@dataclass(frozen=True)
class ChipMap:
    """A whole chip. `state` says in sentences how far a real one is locked; `against` names the other configuration."""

    title: str
    part: Part
    slots: tuple[SlotMap, ...]
    fields: tuple[FieldMap, ...]
    references: tuple[Reference, ...]
    state: str = ""
    against: str = ""

    def bonds_of(self, number: int) -> tuple[Reference, ...]:
        """Return the references that have a part in a slot."""
        return tuple(each for each in self.references if number in (each.source, each.target))

    @property
    def words_note(self) -> str:
        """Which moment the words beside the squares are about."""
        if any(slot.now is not None for slot in self.slots):
            return "In words, and framed: now."
        return f"In words: {Moment.DATA_LOCKED.words}."

    @property
    def bonds(self) -> tuple[Bond, ...]:
        """The kinds of references on this map."""
        present = {each.bond for each in self.references}
        return tuple(bond for bond in Bond if bond in present)


@dataclass(frozen=True)
class Subject:
    """What is drawn: a configuration, what is known of its slots, and whether it is that of a real chip."""

    zone: ConfigZone
    part: Part
    title: str
    on_chip: bool = False
    purposes: Mapping[int, str] = field(default_factory=lambda: NO_TEXTS)
    contents: Mapping[int, str] = field(default_factory=lambda: NO_TEXTS)


def draw_map(subject: Subject, against: Subject | None = None) -> ChipMap:
    """Return the map of a configuration, with what differs from another one.

    A slot without a purpose takes that of the other configuration, unless they differ in it.
    """
    access = _access(subject)
    roles = roles_of(subject.zone, subject.part)
    slots = tuple(
        SlotMap(
            number=slot.number,
            size=slot.size,
            explained=explain_slot(slot),
            purpose=subject.purposes.get(slot.number, ""),
            content=subject.contents.get(slot.number, ""),
            roles=roles.get(slot.number, ()),
            access=access[slot.number],
            now=_now(subject, slot.number),
        )
        for slot in subject.zone.slots
    )
    drawn = ChipMap(
        title=subject.title,
        part=subject.part,
        slots=slots,
        fields=tuple(FieldMap(text) for text in explain_fields(subject.zone, subject.part)),
        references=references_of(subject.zone, access),
        state=_state(subject),
    )
    return drawn if against is None else _compared(drawn, subject, against)


def _access(subject: Subject) -> tuple[SlotAccess, ...]:
    zone = bytearray(subject.zone.data)
    if subject.zone.config_locked:  # the locks of a chip in use come after the moments that are rehearsed
        zone[SLOT_LOCKED] = b"\xff\xff"
    product = Product(part=subject.part, device_key_slot=None)
    return access_of(rehearse(ConfigZone(bytes(zone)), product))


def _now(subject: Subject, number: int) -> Moment | None:
    if not subject.on_chip:
        return None
    if not subject.zone.config_locked:
        return Moment.BLANK
    if not subject.zone.slots[number].open:
        return Moment.SLOT_LOCKED
    return Moment.DATA_LOCKED if subject.zone.data_locked else Moment.CONFIGURED


def _state(subject: Subject) -> str:
    if not subject.on_chip:
        return ""
    zone = subject.zone
    if not zone.config_locked:
        return "Nothing is locked: the configuration can still be written."
    sealed = [str(slot.number) for slot in zone.slots if not slot.open]
    slots = f"Slots locked one by one: {', '.join(sealed)}." if sealed else "No slot is locked one by one."
    return f"Configuration zone locked. Data zone {'locked' if zone.data_locked else 'open'}. {slots}"


def _compared(drawn: ChipMap, subject: Subject, against: Subject) -> ChipMap:
    other_access = _access(against)
    differences = diff(against.zone, subject.zone, subject.part)
    others = explain_fields(against.zone, subject.part)
    return replace(
        drawn,
        slots=tuple(
            _compared_slot(slot, against, access, differences)
            for slot, access in zip(drawn.slots, other_access, strict=True)
        ),
        fields=tuple(
            FieldMap(each.text, other if other.value != each.text.value else None)
            for each, other in zip(drawn.fields, others, strict=True)
        ),
        against=against.title,
    )


def _compared_slot(slot: SlotMap, against: Subject, access: SlotAccess, differences: Sequence[Difference]) -> SlotMap:
    places = frozenset(
        (right, moment)
        for right in Right
        for moment in Moment
        if slot.access.cells[right][moment] != access.cells[right][moment]
    )
    named = any(each.field.startswith(f"slot {slot.number} ") for each in differences)
    if not named and not places:
        return replace(slot, purpose=slot.purpose or against.purposes.get(slot.number, ""))
    return replace(slot, other=explain_slot(against.zone.slots[slot.number]), different=places)
