"""What Linux tells of USB devices in /sys. Elsewhere nothing is known."""

from __future__ import annotations

import os
import re
import stat
import sys
from pathlib import Path
from typing import Final

SYSFS: Final = Path("/sys")
_LIBUSB_PATH: Final = re.compile(r"(\d+-[\d.]+):\d+\.\d+")
"""What hidapi names a device through libusb: its interface, as /sys does."""
_USB_NODES: Final = Path("/dev/bus/usb")


def usb_path_of(entry: Path) -> str:
    """Return the USB port path of an entry of /sys/class, such as `1-2.3`; empty if it is not behind USB."""
    return _name_above(entry, "idVendor")


def usb_path_of_hid(path: str, sysfs: Path = SYSFS) -> str:
    """Return the USB port path of a HID device by its device file or hidapi's path; empty if it is not known."""
    match = _LIBUSB_PATH.fullmatch(path)
    return match[1] if match else usb_path_of(_hidraw_entry(path, sysfs))


def plugged_name_of_hid(path: str, sysfs: Path = SYSFS) -> str:
    """Return what names a HID device as long as it is plugged in, the same through hidraw and libusb; empty if unknown.

    It is the USB interface and the number that the kernel gives to a device each time it is plugged in: a program that
    still holds the device of before holds another one.
    """
    interface = path if _LIBUSB_PATH.fullmatch(path) else _name_above(_hidraw_entry(path, sysfs), "bInterfaceNumber")
    number = _number(sysfs, interface, "devnum")
    return "" if number is None else f"USB port {interface}, device {number}"


def libusb_node(path: str, sysfs: Path = SYSFS) -> str:
    """Return the device file that libusb opens for hidapi's path of a device; empty if it is not known."""
    bus, number = _number(sysfs, path, "busnum"), _number(sysfs, path, "devnum")
    if bus is None or number is None:
        return ""
    node = _USB_NODES / f"{bus:03}" / f"{number:03}"
    return str(node) if node.exists() else ""


def is_hidraw(path: str, sysfs: Path = SYSFS) -> bool:
    """Tell whether a file that is there is the device file of a HID device, as far as /sys knows."""
    found = Path(path).stat()
    if sys.platform == "win32" or not stat.S_ISCHR(found.st_mode):
        return False
    devices = sysfs / "dev" / "char"
    subsystem = devices / f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}" / "subsystem"
    return subsystem.resolve().name == "hidraw" or not devices.is_dir()


def _number(sysfs: Path, interface: str, name: str) -> int | None:
    """Return a number that /sys tells of the device to which a USB interface belongs."""
    match = _LIBUSB_PATH.fullmatch(interface)
    if match is None:
        return None
    try:
        return int((sysfs / "bus" / "usb" / "devices" / match[1] / name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _hidraw_entry(path: str, sysfs: Path) -> Path:
    return sysfs / "class" / "hidraw" / Path(path).name


def _name_above(entry: Path, mark: str) -> str:
    """Return the name of the first folder above an entry's device that has a file `mark`."""
    try:
        device = (entry / "device").resolve(strict=True)
    except OSError:
        return ""
    return next((folder.name for folder in (device, *device.parents) if (folder / mark).exists()), "")
