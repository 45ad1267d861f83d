"""Notice that a board was plugged in or removed.

`PlugWatcher` says when to look again: by the events of udev where it runs, else every time. `is_plugged` looks whether
the port of a device URL is there, without opening it.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any, Final

from atcaprov.bounded_reading import may_be_there
from atcaprov.errors import Code, TransportError
from atcaprov.hal.device_url import device_file, names_a_file, naming, parse_target, require_nameable
from atcaprov.hal.i2c.hal import parse_bus_and_address
from atcaprov.hal.kit.hid import hid_module
from atcaprov.hal.usb import CDC, HID, find_one

_LOG: Final = logging.getLogger(__name__)
_UDEV_RUNS: Final = Path("/run/udev/control")
_SUBSYSTEMS: Final = ("hidraw", "tty", "usb", "i2c-dev")
_LOOK_AGAIN_SECONDS: Final = 2.0
"""Even with events: one that got lost must not hide a board."""


class PlugWatcher:
    """Tells when to look for boards again."""

    def __init__(self) -> None:
        self._monitor = _monitor()
        self._look_at = 0.0

    @property
    def has_events(self) -> bool:
        """Whether the system reports boards; without reports, look every time."""
        return self._monitor is not None

    def worth_looking(self) -> bool:
        """Tell whether something may have changed since this was asked last; never waits."""
        changed = self._take_events()
        if not changed and self.has_events and time.monotonic() < self._look_at:
            return False
        self._look_at = time.monotonic() + _LOOK_AGAIN_SECONDS
        return True

    def _take_events(self) -> bool:
        if self._monitor is None:
            return True
        changed = False
        try:
            while self._monitor.poll(timeout=0) is not None:
                changed = True
        except OSError:
            self._monitor = None  # the daemon is gone: look at every turn
            return True
        if changed:
            _LOG.debug("A device was plugged in or unplugged.")
        return changed


def _monitor() -> Any | None:
    if sys.platform != "linux" or not _UDEV_RUNS.exists():
        return None
    try:
        import pyudev

        monitor = pyudev.Monitor.from_netlink(pyudev.Context())
        for subsystem in _SUBSYSTEMS:
            monitor.filter_by(subsystem)
        monitor.start()
    except (ImportError, OSError):
        return None
    return monitor


_PORTS: Final = {"kit-hid": HID, "kit-cdc": CDC}
_OPTIONS: Final = ("address", "backend", "protocol")


def is_plugged(url: str) -> bool:
    """Tell whether the port of a kit or the file of a bus is there; of other URLs only opening reports it, so yes.

    Raises:
        UsageError: several boards fit the URL, or it has another form.
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
