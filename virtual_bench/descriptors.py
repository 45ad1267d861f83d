"""USB descriptors as bytes (USB 2.0 specification, chapter 9)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

LANGUAGES: Final = bytes.fromhex("04030904")
"""String descriptor 0: English (United States)."""
INTERRUPT: Final = 3
BULK: Final = 2
IN: Final = 0x80
_STRING_TYPE: Final = 3


@dataclass(frozen=True)
class Identity:
    """The names and numbers by which a device identifies itself."""

    vendor_id: int
    product_id: int
    manufacturer: str
    product: str
    serial_number: str
    """Empty: the device has none, as most kits."""
    release: int = 0x0100

    def strings(self) -> tuple[bytes, ...]:
        """Return the string descriptors by index."""
        texts = (self.manufacturer, self.product, self.serial_number)
        return (LANGUAGES, *(_string(text) for text in texts if text))


def _string(text: str) -> bytes:
    encoded = text.encode("utf-16-le")
    return bytes((len(encoded) + 2, _STRING_TYPE)) + encoded


def device(identity: Identity, device_class: int = 0) -> bytes:
    """Return the device descriptor, 18 bytes: full speed, one configuration."""
    serial_index = 3 if identity.serial_number else 0
    return struct.pack(
        "<BBHBBBBHHHBBBB",
        *(18, 1, 0x0200, device_class, 0, 0, 64),
        *(identity.vendor_id, identity.product_id, identity.release, 1, 2, serial_index, 1),
    )


def configuration(interfaces: int, body: bytes) -> bytes:
    """Return the configuration descriptor and what belongs to it: bus powered, 100 mA."""
    return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), interfaces, 1, 0, 0x80, 50) + body


def interface(number: int, endpoints: int, kind: tuple[int, int, int]) -> bytes:
    """Return an interface descriptor, 9 bytes; `kind` is class, subclass, protocol."""
    return bytes((9, 4, number, 0, endpoints, *kind, 0))


def endpoint(address: int, transfer: int, size: int, interval: int = 0) -> bytes:
    """Return an endpoint descriptor, 7 bytes; `address` has the bit `IN` for data to the host."""
    return struct.pack("<BBBBHB", 7, 5, address, transfer, size, interval)
