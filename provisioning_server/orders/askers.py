"""Who asks, as far as limits are concerned: a station, a computer on the network, or the server's own computer."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final

from atcaprov.web.address import is_loopback

OWN_COMPUTER: Final = "the server's own computer"
_STATION: Final = "station "
_IPV6_PREFIX: Final = 64
"""Bits of an IPv6 address that name a network; one computer can have all addresses in it (RFC 4291, section 2.5.1)."""


def asker_of(station: str, address: str) -> str:
    """Return one text for all connections of a station, or of a computer that is not identified.

    `address` is that of the connection's other end, such as `192.0.2.7:40312` or `[2001:db8::7]:40312`.
    """
    if station:
        return _STATION + station
    return _asker_at(address.rpartition(":")[0].strip("[]"))


@functools.lru_cache(maxsize=4096)
def _asker_at(host: str) -> str:
    found = computer(host)
    return OWN_COMPUTER if not host or is_loopback(host) or is_loopback(found) else found


def is_station(asked_by: str) -> bool:
    """Return whether an asker is a station, of which there are never more than were admitted."""
    return asked_by.startswith(_STATION)


def computer(host: str) -> str:
    """Return one text for all addresses of a computer: with IPv6 it has very many."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
