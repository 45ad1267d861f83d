"""What the map says of a slot is what the rehearsal found and what the bits mean, for each published configuration."""

from __future__ import annotations

from functools import cache

import pytest

from atcaprov import ConfigZone, Part
from atcaprov.chip_map.access import LOCKED_ALONE, WORDS, Access, Moment, Right
from atcaprov.chip_map.model import ChipMap, SlotMap, Subject, draw_map
from atcaprov.chip_map.references import Bond, Reference
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.findings import Product
from atcaprov.config_zone.slot import ReadRule, WriteRule
from atcaprov.rehearsal.rehearsal import rehearse
from atcaprov.rehearsal.slot_probes import CHANGING_USES, PROBES
from tests.support.config_zones import PUBLISHED, changed, part_of, with_slot, zone_of

NAMES = ["default", *PUBLISHED]
pytestmark = pytest.mark.slow


def subject(name: str) -> Subject:
    if name == "default":
        return Subject(ConfigZone(DEFAULT_608A), Part.ATECC608, name)
    return Subject(zone_of(name), part_of(name), name)


@cache
def drawn(name: str) -> ChipMap:
    return draw_map(subject(name))


def after(slot: SlotMap, right: Right) -> tuple[Access, str]:
    cell = slot.access.cells[right][Moment.DATA_LOCKED]
    return cell.access, cell.words


def test_each_use_of_a_rehearsal_answers_one_question() -> None:
    named = [use for words in WORDS.values() for use in words]
    assert sorted([*named, LOCKED_ALONE]) == sorted(PROBES)
    assert set(WORDS[Right.CHANGE]) == CHANGING_USES


@pytest.mark.parametrize("name", NAMES)
def test_map_and_rehearsal_agree(name: str) -> None:
    found = rehearse(subject(name).zone, Product(part=subject(name).part, device_key_slot=None))
    for slot, tried in zip(drawn(name).slots, found.by_slot(), strict=True):
        assert slot.access.uses[Moment.CONFIGURED] == tried.before
        assert slot.access.uses[Moment.DATA_LOCKED] == tried.after
        assert slot.access.uses[Moment.BLANK] == {}, "before the config lock nothing works"
        assert (after(slot, Right.CHANGE)[0] is Access.NONE) == (slot.number in found.fixed)


@pytest.mark.parametrize("name", NAMES)
def test_map_and_bits_agree_on_reads(name: str) -> None:
    for slot, bits in zip(drawn(name).slots, subject(name).zone.slots, strict=True):
        access, words = after(slot, Right.READ)
        if bits.private or bits.slot_config.read in (ReadRule.NEVER, ReadRule.ILLEGAL):
            assert access is Access.NONE
        elif bits.slot_config.read is ReadRule.CLEAR:
            assert (access, words) == (Access.FREE, "in clear")
        else:
            assert access is Access.BOUND
            assert f"key {bits.slot_config.read_key})" in words


@pytest.mark.parametrize("name", NAMES)
def test_map_and_bits_agree_on_changes(name: str) -> None:
    for slot, bits in zip(drawn(name).slots, subject(name).zone.slots, strict=True):
        words = after(slot, Right.CHANGE)[1]
        if bits.private:
            assert ("GenKey" in words) == bits.slot_config.gen_key
            assert ("PrivWrite" in words) == bits.slot_config.priv_write
        else:
            assert ("in clear" in words) == (bits.slot_config.write in (WriteRule.ALWAYS, WriteRule.WHILE_INVALID))
            assert ("encrypted (" in words) == (bits.slot_config.write is WriteRule.ENCRYPTED)


@pytest.mark.parametrize("name", NAMES)
def test_map_and_bits_agree_on_private_keys(name: str) -> None:
    for slot, bits in zip(drawn(name).slots, subject(name).zone.slots, strict=True):
        if not bits.private:
            continue
        words = {word.partition(" (")[0] for part in after(slot, Right.USE)[1].split("; ") for word in part.split(", ")}
        assert ("sign" in words) == bits.slot_config.external_sign
        assert ("sign inside" in words) == bits.slot_config.internal_sign
        impossible = bits.slot_config.ecdh_to_partner and subject(name).zone.slots[bits.ecdh_partner].private
        assert ("ECDH" in words) == (bits.slot_config.ecdh and not impossible), "no result goes into a private key"
        assert ("public key" in words) == bits.key_config.pub_info


@pytest.mark.parametrize("name", NAMES)
def test_a_slot_lock_ends_changes_where_there_is_one(name: str) -> None:
    for slot, bits in zip(drawn(name).slots, subject(name).zone.slots, strict=True):
        assert slot.access.lockable == bits.key_config.lockable
        cells = slot.access.cells[Right.CHANGE]
        if slot.access.lockable:
            assert cells[Moment.SLOT_LOCKED].words in ("no", "validation"), "a lock keeps the key, not its validity"
        else:
            assert cells[Moment.SLOT_LOCKED] == cells[Moment.DATA_LOCKED]


def test_bonds_of_the_kits_table() -> None:
    assert drawn("atmel8970-508a").references == (
        Reference(0, Bond.FILLS, 1),
        *(Reference(4, Bond.ENCRYPTS, slot) for slot in (1, 3, 8, 9)),
    )


def test_bonds_of_the_vendors_reference_table() -> None:
    found = drawn("cal-reference-608")
    assert Reference(15, Bond.VALIDATES, 14) in found.references
    assert Reference(4, Bond.AUTHORIZES, 5) in found.references
    assert found.slots[11].roles == ("secure boot: public key",)
    assert found.slots[4].roles == ("sets the latch", "IO protection key")


def test_a_value_that_everyone_reads_is_no_secret() -> None:
    assert after(drawn("default").slots[8], Right.USE) == (Access.NONE, "public value")
    assert after(drawn("default").slots[11], Right.USE) == (Access.FREE, "verify")


def test_moments_of_a_real_chip() -> None:
    def now(*changes: tuple[int, str]) -> list[Moment | None]:
        zone = ConfigZone(changed(*changes))
        return [slot.now for slot in draw_map(Subject(zone, Part.ATECC608, "x", on_chip=True)).slots]

    assert now() == [Moment.BLANK] * 16
    assert now((87, "00")) == [Moment.CONFIGURED] * 16
    assert now((86, "0000")) == [Moment.DATA_LOCKED] * 16
    assert now((86, "0000"), (88, "FEFF")) == [Moment.SLOT_LOCKED, *[Moment.DATA_LOCKED] * 15]


def test_a_chip_with_locked_slots_is_drawn_as_it_was_made() -> None:
    zone = ConfigZone(changed((86, "0000"), (88, "FFFE")))
    found = draw_map(Subject(zone, Part.ATECC608, "x", on_chip=True))
    assert found.state == "Configuration zone locked. Data zone locked. Slots locked one by one: 8."
    assert [slot.access.cells for slot in found.slots] == [slot.access.cells for slot in drawn("default").slots]
    assert found.slots[8].in_words(Right.CHANGE) == "no"
    assert drawn("default").slots[8].in_words(Right.CHANGE) == "in clear"


def test_differences_are_marked_where_they_are() -> None:
    default = Subject(ConfigZone(DEFAULT_608A), Part.ATECC608, "default")
    other = Subject(ConfigZone(with_slot(8, 0x8F8F, 0x001C, zone=changed((16, "6A")))), Part.ATECC608, "other")
    found = draw_map(default, other)
    assert found.against == "other"
    assert [slot.number for slot in found.slots if slot.other] == [8]
    assert found.slots[8].other == "secret; never read; never written"
    assert (Right.READ, Moment.DATA_LOCKED) in found.slots[8].different
    assert (Right.READ, Moment.BLANK) not in found.slots[8].different
    assert {field.text.name: field.other.value for field in found.fields if field.other} == {"I2C_Address": "6A"}
    purposes = dict.fromkeys(range(16), "written by its author")
    found = draw_map(default, Subject(other.zone, Part.ATECC608, "other", purposes=purposes))
    assert [slot.number for slot in found.slots if not slot.purpose] == [8]
    same = draw_map(default, default)
    assert not any(slot.other or slot.different for slot in same.slots)
