"""Whether something is plugged in where a device URL points, without opening it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from atcaprov.errors import Code, TransportError
from atcaprov.hal.device_url import device_file, names_a_file, naming, parse_target, require_nameable
from atcaprov.hal.i2c.scan import parse_bus_and_address
from atcaprov.hal.kit.hid import hid_module
from atcaprov.hal.usb import find_one
from atcaprov.hal.usb_ids import CDC, HID
from atcaprov.reading import may_be_there

_PORTS: Final = {"kit-hid": HID, "kit-cdc": CDC}
_OPTIONS: Final = ("address", "backend", "protocol")


def is_plugged(url: str) -> bool:
    """Tell whether the port of a kit or the file of a bus is there; of other URLs only opening tells, so yes.

    Raises:
        UsageError: several boards fit the URL, or it is of another form.
        TransportError: a Python package is missing (code LIBRARY_MISSING).
    """
    require_nameable(url)
    with naming(url):
        return _is_plugged(url)


def _is_plugged(url: str) -> bool:
    scheme, _, rest = url.partition(":")
    if scheme == "i2c":
        return may_be_there(Path(f"/dev/i2c-{parse_bus_and_address(rest)[0]}"))
    if scheme not in _PORTS:
        return True
    target = parse_target(scheme, rest, options=_OPTIONS)
    if names_a_file(target.name):
        return not target.name.startswith("/") or may_be_there(Path(device_file(target.name)))
    hid = hid_module(target.options.get("backend", "")) if scheme == "kit-hid" else None
    try:
        find_one(_PORTS[scheme], target.name, hid)
    except TransportError as error:
        if error.code == Code.LIBRARY_MISSING:
            raise
        return False
    return True
