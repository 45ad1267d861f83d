"""Which addresses only this computer reaches."""

from __future__ import annotations

import ipaddress


def is_loopback(address: str) -> bool:
    """Whether only this computer reaches an address; of names only localhost is known to be one."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
