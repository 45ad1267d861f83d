"""Whether something is plugged in where a device URL points, without opening it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from atcaprov.errors import TransportError
from atcaprov.hal.device_url import parse_target
from atcaprov.hal.discovery import find_one
from atcaprov.hal.kit_hid import hid_module
from atcaprov.hal.usb_ids import CDC, HID

_PORTS: Final = {"kit-hid": HID, "kit-cdc": CDC}
_OPTIONS: Final = ("address", "backend", "protocol")


def is_plugged(url: str) -> bool:
    """Tell whether the port of a kit or the file of a bus is there; of other URLs only opening tells, so yes.

    Raises:
        UsageError: several boards fit the URL, or it is of another form.
        TransportError: a Python package is missing (code LIBRARY_MISSING).
    """
    scheme, _, rest = url.partition(":")
    if scheme == "i2c":
        return Path(f"/dev/i2c-{parse_target(scheme, rest).name.partition('/')[0]}").exists()
    target = parse_target(scheme, rest, options=_OPTIONS) if scheme in _PORTS else None
    if target is None or target.name.upper().startswith("COM"):
        return True
    if target.name.startswith("/"):
        return Path(target.name).exists()
    hid = hid_module(target.options.get("backend", "")) if scheme == "kit-hid" else None
    try:
        find_one(_PORTS[scheme], target.name, hid)
    except TransportError:
        return False
    return True
