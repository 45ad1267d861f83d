"""Look for the chips on a plugged kit or a bus; opens each for a moment and changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from atcaprov.errors import Code, TransportError
from atcaprov.hal.discovery import I2cBus, PluggedKit
from atcaprov.hal.i2c_dev import SCHEME, open_i2c
from atcaprov.hal.kit import chips_of
from atcaprov.hal.kit_cdc import CdcPort
from atcaprov.hal.kit_hid import HidPort
from atcaprov.hal.line_port import LinePort
from atcaprov.hal.usb_ids import HID
from atcaprov.kit.host import Entry

DELIVERED_ADDRESSES: Final = (0x60, 0x35, 0x36, 0x38)
"""7-bit addresses of the parts as delivered: plain and TrustCUSTOM, TNGTLS, TFLXTLS, TMNGTLS."""


def chips_on_kit(kit: PluggedKit, hid: Any | None) -> tuple[Entry, ...]:
    """Return the device table of a kit; `hid` is hidapi's module.

    Raises:
        TransportError: the kit can't be opened or is silent.
        ProtocolError: it answers with something else.
    """
    node = str(Path(kit.path).resolve()) if kit.path.startswith("/") else kit.path

    def open_port() -> LinePort:
        return HidPort(node, hid) if kit.port == HID else CdcPort(node)

    return chips_of(node, open_port)


def chips_on_i2c(bus: I2cBus, addresses: tuple[int, ...] = DELIVERED_ADDRESSES) -> Iterator[tuple[str, int]]:
    """Give URL and 7-bit address of each chip that wakes at one of `addresses`.

    Raises:
        TransportError: the bus can't be used.
    """
    for address in addresses:
        try:
            hal = open_i2c(f"//{bus.number}/0x{address:02x}")
        except TransportError as error:
            if error.code != Code.DEVICE_NO_REPLY:
                raise
            continue
        hal.close()
        yield f"{SCHEME}://{bus.number}/0x{address:02x}", address
