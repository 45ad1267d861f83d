"""Attach devices to the kernel: `vhci-hcd` through its files in sysfs (drivers/usb/usbip of the kernel)."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection
from pathlib import Path
from typing import Final

SYSFS: Final = Path("/sys/devices/platform/vhci_hcd.0")
_FULL_SPEED: Final = 2
_HIGH_SPEED_PORTS: Final = range(15)
"""Ports of the first controller; a full-speed device must not sit on one of its super-speed ports."""


class NoFreePort(Exception):  # noqa: N818 - the bench is full
    """All ports are in use."""


def attach(taken: Collection[int] = ()) -> tuple[int, socket.socket]:
    """Plug a full-speed device in; return its port and our end of the wire, on which the kernel asks from now on.

    `taken` names ports that need not be tried.
    """
    for port in _HIGH_SPEED_PORTS:
        if port in taken:
            continue
        ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with kernels:
            try:
                (SYSFS / "attach").write_text(f"{port} {kernels.fileno()} {65537 + port} {_FULL_SPEED}")
            except OSError as error:
                ours.close()
                if error.errno != errno.EBUSY:
                    raise
            else:
                return port, ours
    raise NoFreePort


def bus_id(port: int) -> str:
    """Return the name of the USB device on a port of the first controller, such as `1-1`."""
    for hub in SYSFS.glob("usb[0-9]*"):
        if (hub / "speed").read_text().strip() == "480":
            return f"{hub.name.removeprefix('usb')}-{port + 1}"
    raise FileNotFoundError(f"no high-speed hub below {SYSFS}")
