"""Find the I2C buses of this machine, and the chips on a bus or a kit; opens each for a moment and changes nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from atcaprov.hal.device_url import DELIVERED_ADDRESSES, device_file
from atcaprov.hal.i2c.hal import chip_url
from atcaprov.hal.i2c.scan import found_addresses, woken_addresses
from atcaprov.hal.kit.cdc import CdcPort
from atcaprov.hal.kit.hal import chips_of
from atcaprov.hal.kit.hid import HidPort
from atcaprov.hal.kit.line_port import LinePort
from atcaprov.hal.usb import HID, SYSFS, PluggedKit, usb_path_of
from atcaprov.kit_protocol.device_table import DeviceEntry

_I2C_NODE: Final = re.compile(r"i2c-(\d+)")
UNRESERVED_ADDRESSES: Final = range(0x08, 0x78)
"""7-bit addresses that I2C leaves to chips (NXP UM10204, section 3.1.12)."""


@dataclass(frozen=True)
class I2cAdapter:
    """One I2C bus of this machine."""

    number: int
    name: str
    """Name from its driver."""
    usb_path: str
    """Where its adapter is plugged in; empty for a bus of the board itself."""


def i2c_buses(sysfs: Path = SYSFS) -> list[I2cAdapter]:
    """Return the I2C buses that have a device file, by number."""
    found = []
    for entry in _entries(sysfs / "class" / "i2c-dev"):
        match = _I2C_NODE.fullmatch(entry.name)
        if match:
            found.append(I2cAdapter(int(match[1]), _text(entry / "name"), usb_path_of(entry)))
    return sorted(found, key=lambda bus: bus.number)


def chips_on_kit(kit: PluggedKit, hid: Any | None) -> tuple[DeviceEntry, ...]:
    """Return the device table of a kit; `hid` is hidapi's module.

    Raises:
        TransportError: the kit cannot be opened or is silent.
        ProtocolError: its answers are not of the kit protocol.
    """
    node = device_file(kit.path)

    def open_port() -> LinePort:
        return HidPort(node, hid) if kit.port == HID else CdcPort(node)

    return chips_of(node, open_port)


def chips_on_i2c(
    bus: I2cAdapter, addresses: Iterable[int] = (), *, everywhere: bool = False
) -> Iterator[tuple[str, int]]:
    """Yield URL and 7-bit address of each chip of a bus; a chip in use is listed without being touched.

    Searches the addresses of delivered parts and `addresses`; with `everywhere`, all others that I2C does not reserve,
    too. Nothing is written to any of them, since other parts may be there.

    Raises:
        TransportError: the bus cannot be used.
    """
    named = dict.fromkeys((*DELIVERED_ADDRESSES, *addresses))
    yield from ((chip_url(bus.number, address), address) for address in found_addresses(bus.number, named))
    if everywhere:
        others = [address for address in UNRESERVED_ADDRESSES if address not in named]
        yield from ((chip_url(bus.number, address), address) for address in woken_addresses(bus.number, others))


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir()) if sys.platform == "linux" else []
    except OSError:
        return []


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
