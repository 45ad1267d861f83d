"""Look for the chips on a plugged kit or a bus; opens each for a moment and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from atcaprov.hal.device_url import device_file
from atcaprov.hal.i2c.scan import SCHEME, found_addresses, woken_addresses
from atcaprov.hal.kit.cdc import CdcPort
from atcaprov.hal.kit.hal import chips_of
from atcaprov.hal.kit.hid import HidPort
from atcaprov.hal.kit.line_port import LinePort
from atcaprov.hal.usb import HID, I2cBus, PluggedKit
from atcaprov.kit_protocol.device_table import Entry

DELIVERED_ADDRESSES: Final = (0x60, 0x35, 0x36, 0x38, 0x59)
"""7-bit addresses of the parts as delivered: plain and TrustCUSTOM, TNGTLS, TFLXTLS, TMNGTLS, TNGLORA."""
UNRESERVED_ADDRESSES: Final = range(0x08, 0x78)
"""7-bit addresses that I2C leaves to chips (NXP UM10204, section 3.1.12)."""


def chips_on_kit(kit: PluggedKit, hid: Any | None) -> tuple[Entry, ...]:
    """Return the device table of a kit; `hid` is hidapi's module.

    Raises:
        TransportError: the kit can't be opened or is silent.
        ProtocolError: it answers with something else.
    """
    node = device_file(kit.path)

    def open_port() -> LinePort:
        return HidPort(node, hid) if kit.port == HID else CdcPort(node)

    return chips_of(node, open_port)


def chips_on_i2c(bus: I2cBus, addresses: Iterable[int] = (), *, everywhere: bool = False) -> Iterator[tuple[str, int]]:
    """Give URL and 7-bit address of each chip of a bus; one that is in use is given without being touched.

    Looked at are the addresses of the parts as delivered and `addresses`. With `everywhere` all others that I2C does
    not reserve follow, each once. Nothing is written to any of them, since strangers may be there.

    Raises:
        TransportError: the bus can't be used.
    """
    named = dict.fromkeys((*DELIVERED_ADDRESSES, *addresses))
    yield from ((_url(bus, address), address) for address in found_addresses(bus.number, named))
    if everywhere:
        others = [address for address in UNRESERVED_ADDRESSES if address not in named]
        yield from ((_url(bus, address), address) for address in woken_addresses(bus.number, others))


def _url(bus: I2cBus, address: int) -> str:
    return f"{SCHEME}://{bus.number}/0x{address:02x}"
