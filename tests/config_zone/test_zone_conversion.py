from __future__ import annotations

import pytest

from atcaprov import UsageError, check_config_zone
from atcaprov.config_zone.check import Level
from atcaprov.config_zone.diff import differing_bytes
from atcaprov.config_zone.zone import convert_508a_to_608
from tests.support.config_zones import CONVERSIONS, published


@pytest.mark.parametrize("name", CONVERSIONS)
def test_known_conversions(name: str) -> None:
    converted = convert_508a_to_608(published(name))
    assert converted[16:].hex() == CONVERSIONS[name]["bytes_16_127"]
    assert differing_bytes(published(name), converted) == CONVERSIONS[name]["changed_bytes"]


def test_the_factory_508a_becomes_the_factory_608a() -> None:
    assert convert_508a_to_608(published("factory-508a")) == published("factory-608a")


@pytest.mark.parametrize("name", ["atmel8970-508a", "factory-508a", "cal-reference-508"])
def test_a_converted_table_harms_no_608(name: str) -> None:
    findings = check_config_zone(convert_508a_to_608(published(name)), certificate_slots={10, 11, 12})
    assert not [finding for finding in findings if finding.level is Level.ERROR]


def test_the_clock_divider_and_the_one_time_address_are_cleared() -> None:
    zone = bytearray(published("factory-508a"))
    zone[19], zone[85] = 0xFF, 0x6A
    converted = convert_508a_to_608(bytes(zone))
    assert (converted[19], converted[85]) == (0x07, 0)


def test_only_128_bytes_are_converted() -> None:
    with pytest.raises(UsageError):
        convert_508a_to_608(bytes(112))
