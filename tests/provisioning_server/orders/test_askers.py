"""Whose connections count together."""

from __future__ import annotations

import pytest

from provisioning_server.orders.askers import OWN_COMPUTER, asker_of, is_station


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("192.0.2.7:40312", "192.0.2.7"),
        ("[2001:db8::7]:40312", "2001:db8::/64"),
        ("[::ffff:192.0.2.7]:40312", "192.0.2.7"),
        ("[fe80::1%eth0]:40312", "fe80::/64"),
        ("127.0.0.1:40312", OWN_COMPUTER),
        ("127.0.0.2:40312", OWN_COMPUTER),
        ("[::1]:40312", OWN_COMPUTER),
        ("[::ffff:127.0.0.1]:40312", OWN_COMPUTER),
        ("", OWN_COMPUTER),
        ("a client", OWN_COMPUTER),
    ],
)
def test_computer_without_a_station_is_known_by_its_address(address: str, found: str) -> None:
    assert asker_of("", address) == found
    assert not is_station(found)


def test_station_is_the_same_from_any_address() -> None:
    assert asker_of("line-1", "192.0.2.7:1") == asker_of("line-1", "[2001:db8::7]:2")
    assert is_station(asker_of("line-1", "127.0.0.1:1"))
    assert asker_of("192.0.2.7", "") != asker_of("", "192.0.2.7:1")
