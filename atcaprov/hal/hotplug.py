"""Notice that something was plugged in or out: by the events of udev where it runs, else by looking again and again."""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any, Final

_LOG: Final = logging.getLogger(__name__)
_UDEV_RUNS: Final = Path("/run/udev/control")
_SUBSYSTEMS: Final = ("hidraw", "tty", "usb", "i2c-dev")
_LOOK_AGAIN_SECONDS: Final = 2.0
"""Even with events: one that got lost must not hide a board."""


class PlugWatcher:
    """Tells when it is worth looking for boards."""

    def __init__(self) -> None:
        self._monitor = _monitor()
        self._look_at = 0.0

    @property
    def has_events(self) -> bool:
        """Whether the system tells of boards; otherwise every look is worth it."""
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
            _LOG.debug("Something was plugged in or out.")
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
