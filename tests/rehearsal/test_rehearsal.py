"""The rehearsal of a configuration: what it says of each slot is what the access rules say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import ConfigZone, Part
from atcaprov.config_zone.check import Level, Rule, check_product
from atcaprov.config_zone.defaults import DEFAULT_608A, DEFAULT_CERTIFICATE_SLOTS, DEFAULT_DEVICE_KEY_SLOT
from atcaprov.config_zone.findings import Product
from atcaprov.rehearsal.rehearsal import rehearse
from atcaprov.rehearsal.report import needs_lines, slot_list, table_lines
from tests.support.config_zones import changed, published, with_slot

DEFAULT_PRODUCT = Product(device_key_slot=DEFAULT_DEVICE_KEY_SLOT, certificate_slots=DEFAULT_CERTIFICATE_SLOTS)
NO_PRODUCT = Product(device_key_slot=None)


def slots(zone: bytes, product: Product = NO_PRODUCT) -> dict[str, tuple[int, ...]]:
    return rehearse(ConfigZone(zone), product).slots


def test_the_default_configuration_serves_its_purpose() -> None:
    found = rehearse(ConfigZone(DEFAULT_608A), DEFAULT_PRODUCT)
    assert found.findings == ()
    assert found.fixed == (0, 6, 7, 9, 10, 11, 12), "the key in slot 4 can put a result of ECDH into slot 5"
    assert found.slots["used to sign a loaded digest"] == (0, 2, 3, 4)
    assert found.slots["used to sign inside"] == (1,)
    assert found.slots["read in clear"] == (8, 10, 11, 12, 13, 14, 15)


def test_locked_slots_never_change() -> None:
    found = rehearse(ConfigZone(DEFAULT_608A), Product(slots_to_lock=frozenset({1, 2, 3, 4, 8, 13, 14, 15})))
    assert found.fixed == (*range(5), *range(6, 16)), "slot 5 cannot be locked, and takes results of ECDH with slot 4"
    assert found.slots["used to sign a loaded digest"] == (0, 2, 3, 4), "a locked key still signs"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slot_config", "key_config", "use"),
    [
        (0xC5C5, 0x001C, "read encrypted"),
        (0x4585, 0x001C, "written encrypted"),
        (0x0000, 0x001C, "written in clear"),
        (0x4585, 0x0033, "given a key by PrivWrite"),
        (0x2085, 0x0033, "given a new key by GenKey"),
        (0x2085, 0x001C, "replaced by DeriveKey"),
        (0x3585, 0x001C, "replaced by DeriveKey"),
        (0xB585, 0x001C, "replaced by DeriveKey"),
        (0x2085, 0x0693, "given a new key by GenKey"),
        (0x0081, 0x1033, "used to sign a loaded digest"),
    ],
    ids=[
        "EncryptRead",
        "Encrypt",
        "Always",
        "PrivWrite",
        "GenKey",
        "roll",
        "create",
        "create, MAC",
        "ReqAuth",
        "latch",
    ],
)
def test_each_use_works_where_its_bits_allow_it(slot_config: int, key_config: int, use: str) -> None:
    """Slot 5 of the default is a secret that serves as read, write and parent key."""
    zone = with_slot(3, slot_config, key_config, zone=changed((69, "85")))
    assert 3 in slots(zone)[use]
    assert 3 not in slots(with_slot(3, 0x8F8F, 0x001C))[use], "a slot that is never read nor written"


def test_508a_configuration_is_rehearsed_on_a_508a() -> None:
    found = rehearse(ConfigZone(published("atmel8970-508a")), Product(part=Part.ATECC508A, device_key_slot=0))
    assert not found.findings


@pytest.mark.parametrize(
    ("product", "rule", "what"),
    [
        (Product(device_key_slot=5), Rule.DEVICE_KEY, "slot 5 does not sign for the device"),
        (Product(device_key_slot=1), Rule.DEVICE_KEY, "slot 1 does not sign for the device"),
        (Product(certificate_slots=frozenset({9})), Rule.CERTIFICATE_SLOT, "slot 9 does not give back"),
        (Product(certificate_slots=frozenset({3})), Rule.CERTIFICATE_SLOT, "slot 3 does not give back"),
        (Product(slots_to_lock=frozenset({10})), Rule.SLOT_TO_LOCK, "slot 10 cannot be locked"),
    ],
)
def test_need_that_the_chip_cannot_meet_is_an_error_with_the_reason(product: Product, rule: Rule, what: str) -> None:
    found = rehearse(ConfigZone(DEFAULT_608A), product).findings
    assert any(finding.rule is rule and finding.message.startswith(what) for finding in found)
    assert all(finding.level is Level.ERROR and finding.byte == 20 + 2 * (finding.slot or 0) for finding in found)


def test_slot_that_is_locked_before_it_is_written_is_an_error() -> None:
    sealed = changed((88, "FF FB"))  # SlotLocked bit 10 is 0
    product = Product(certificate_slots=frozenset({10}), written_slots=frozenset({10}))
    assert any(
        "slot 10 cannot be written" in finding.message for finding in rehearse(ConfigZone(sealed), product).findings
    )


GOOD_WORDS = {0: 0x0033_0085, 8: 0x003C_0F0F, 10: 0x001C_8F0F}
"""KeyConfig and SlotConfig of the default: device key, a slot that can be locked, a certificate slot."""


def test_needs_are_reported_with_the_slot() -> None:
    found = rehearse(ConfigZone(with_slot(3, 0x0081, 0x05B3)), NO_PRODUCT)
    assert "slot 3 used to sign a loaded digest: CheckMac with slot 5 right before" in needs_lines(found)
    assert needs_lines(found)[0] == "slot 5 given a result of ECDH: ECDH with slot 4"


@pytest.mark.slow
@given(st.sampled_from(sorted(GOOD_WORDS)), st.sets(st.integers(0, 31), max_size=3))
def test_zone_that_passes_the_check_works_on_the_chip(slot: int, flipped: set[int]) -> None:
    words = GOOD_WORDS[slot] ^ sum(1 << bit for bit in flipped)
    zone = ConfigZone(with_slot(slot, words & 0xFFFF, words >> 16))
    product = Product(
        device_key_slot=slot if slot == 0 else None,
        certificate_slots=frozenset({slot}) if slot == 10 else frozenset(),
        slots_to_lock=frozenset({slot}) if slot == 8 else frozenset(),
    )
    refused = {finding.slot for finding in check_product(zone, product) if finding.level is Level.ERROR}
    assert slot in refused or not rehearse(zone, product).findings


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.binary(min_size=112, max_size=112), st.sampled_from(list(Part)), st.frozensets(st.integers(0, 15), max_size=4)
)
def test_rehearsal_of_any_zone_ends(content: bytes, part: Part, numbers: frozenset[int]) -> None:
    product = Product(part, min(numbers, default=None), numbers, numbers, numbers)
    found = rehearse(ConfigZone(bytes(16) + content), product)
    assert set(found.fixed) <= set(range(16))
    assert len(table_lines(found)) == len(found.slots) + 1


@pytest.mark.parametrize(
    ("numbers", "text"), [((), "none"), ((3,), "3"), ((0, 1, 2, 5), "0-2, 5"), ((15, 0), "0, 15"), ((1, 3), "1, 3")]
)
def test_slot_lists(numbers: tuple[int, ...], text: str) -> None:
    assert slot_list(numbers) == text
