"""USB kits: where they are plugged in (Linux' /sys), which USB ids are kits, and which are connected. Opens nothing."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import platformdirs

from atcaprov.bounded_reading import MalformedError, parse_toml, read_text, status
from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.hal.errors import missing

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
    """Return a name of a HID device, the same for hidraw and libusb while it is plugged in; empty if unknown.

    It is the USB interface and the number that the kernel gives to a device each time it is plugged in: a program that
    still holds the device from before holds another name.
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
    """Return a number from /sys of the device to which a USB interface belongs."""
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


ENVIRONMENT: Final = "ATCAPROV_USB_IDS"
"""Names a file of more USB ids; without it, `usb-ids.toml` in the user's configuration folder is read if it exists."""
HID: Final = "hid"
CDC: Final = "cdc"
_HIGHEST: Final = 0xFFFF

UsbIds = Mapping[tuple[int, int], "KitKind"]


@dataclass(frozen=True)
class KitKind:
    """The kit that a pair of USB ids identifies."""

    port: str
    """`hid` or `cdc`."""
    name: str


def usb_ids() -> UsbIds:
    """Return the table, kit kinds by vendor and product id.

    Raises:
        UsageError: the user's file cannot be read or has another form.
    """
    own = os.environ.get(ENVIRONMENT)
    path = Path(own) if own else platformdirs.user_config_path("atcaprov") / "usb-ids.toml"
    table = parse_usb_ids(Path(__file__).with_name("usb_ids.toml").read_text(encoding="utf-8"), "usb_ids.toml")
    if own or status(path) is not None:
        table |= parse_usb_ids(read_text(path), str(path))
    return table


def parse_usb_ids(text: str, source: str) -> dict[tuple[int, int], KitKind]:
    """Return the table in a TOML text: `[[kit]]` with `vendor`, `product`, `port` (hid or cdc) and `name`.

    Raises:
        UsageError: it has another form (code FILE_INVALID); `source` names it in the message.
    """
    try:
        document = parse_toml(text)
    except MalformedError as error:
        raise _invalid(source, str(error)) from error
    kits = document.get("kit")
    if not isinstance(kits, list) or set(document) != {"kit"}:
        raise _invalid(source, "it may hold [[kit]] tables only")
    return dict(_entry(kit, source) for kit in kits)


def _entry(kit: Any, source: str) -> tuple[tuple[int, int], KitKind]:
    if not isinstance(kit, dict) or set(kit) != {"vendor", "product", "port", "name"}:
        raise _invalid(source, "each [[kit]] has vendor, product, port and name")
    numbers = (kit["vendor"], kit["product"])
    if not all(type(number) is int and 0 <= number <= _HIGHEST for number in numbers):
        raise _invalid(source, "vendor and product are numbers up to 0xFFFF")
    if kit["port"] not in (HID, CDC) or not isinstance(kit["name"], str):
        raise _invalid(source, "port is 'hid' or 'cdc', and name is a string")
    return numbers, KitKind(kit["port"], kit["name"])


def _invalid(source: str, why: str) -> UsageError:
    return UsageError(
        f"{source} is not a table of USB ids: {why}.",
        advice="See docs/reference/devices.md for the format.",
        code=Code.FILE_INVALID,
    )


_LOOKS: Final = 3
SCHEMES: Final = {HID: "kit-hid", CDC: "kit-cdc"}
"""Of the device URLs of each kind of port."""


@dataclass(frozen=True)
class PluggedKit:
    """One kit at its port."""

    port: str
    """`hid` or `cdc`."""
    path: str
    """Device file, or the system's equivalent, which is opened."""
    usb_path: str
    """USB port path, bus-port.port such as `1-2.3`; empty where the system does not report it."""
    vendor: int
    product: int
    serial: str
    """USB serial number; empty for most kits."""
    product_name: str
    """Its USB product string."""
    kind_name: str
    """Its name in the table of USB ids."""

    @property
    def url(self) -> str:
        """The device URL of the port."""
        return f"{SCHEMES[self.port]}://{quote(self.path, safe='/:')}"


def plugged_kits(hid: Any | None = None, *, ids: UsbIds | None = None) -> list[PluggedKit]:
    """Return all kits, HID first; `hid` is hidapi's module, None leaves HID out. Ports by path, so that order stays.

    Without pyserial kits at serial ports are left out.
    """
    table = usb_ids() if ids is None else ids
    found = list(_hid_kits(hid, table)) if hid is not None else []
    try:
        found += _cdc_kits(table)
    except TransportError as error:
        if error.code != Code.LIBRARY_MISSING:
            raise
    return sorted(found, key=lambda kit: (kit.port != HID, kit.usb_path, kit.path))


def find_one(port: str, name: str, hid: Any = None) -> PluggedKit:
    """Return the kit at a USB port path or path, or of a USB serial number; with an empty name, the only one.

    HID kits are found through hidapi's module `hid`.

    Raises:
        TransportError: no kit matches (code DEVICE_NOT_FOUND), or pyserial is not installed (LIBRARY_MISSING).
        UsageError: several kits match.
    """
    kits = _cdc_kits(usb_ids()) if port == CDC else _hid_kits(hid, usb_ids())
    found = [kit for kit in kits if name in ("", kit.usb_path, kit.serial, kit.path)]
    if not found:
        raise TransportError(
            f"No {SCHEMES[port]} board is plugged in at '{name}'." if name else f"No {SCHEMES[port]} board is found.",
            advice="'provisioning-client devices' lists what is connected.",
            code=Code.DEVICE_NOT_FOUND,
        )
    if len(found) > 1:
        urls = ", ".join(sorted(f"{SCHEMES[port]}://{kit.usb_path or kit.path}" for kit in found))
        raise UsageError(f"{len(found)} boards match '{SCHEMES[port]}://{name}'.", advice=f"Name one of: {urls}")
    return found[0]


def _hid_kits(hid: Any, table: UsbIds) -> Iterable[PluggedKit]:
    entries = {entry["path"]: entry for entry in hid.enumerate()}  # one device may come once for each use
    for entry in entries.values():
        ids = (entry["vendor_id"], entry["product_id"])
        if ids in table and table[ids].port == HID:
            path = entry["path"].decode("utf-8", "replace")
            yield PluggedKit(
                port=HID,
                path=path,
                usb_path=usb_path_of_hid(path),
                vendor=ids[0],
                product=ids[1],
                serial=entry.get("serial_number") or "",
                product_name=entry.get("product_string") or "",
                kind_name=table[ids].name,
            )


def _cdc_kits(table: UsbIds) -> Iterable[PluggedKit]:
    for port in _serial_ports():
        ids = (port.vid, port.pid)
        if ids in table and table[ids].port == CDC:
            yield PluggedKit(
                port=CDC,
                path=port.device,
                usb_path=(port.location or "").partition(":")[0],
                vendor=port.vid,
                product=port.pid,
                serial=port.serial_number or "",
                product_name=port.product or "",
                kind_name=table[ids].name,
            )


def require_serial_ports() -> Any:
    """Return pyserial's list of ports; raise TransportError (LIBRARY_MISSING) if pyserial is not installed."""
    try:
        from serial.tools import list_ports
    except ImportError as error:
        raise missing("pyserial", "a serial port") from error
    return list_ports


def _serial_ports() -> list[Any]:
    list_ports = require_serial_ports()
    for _ in range(_LOOKS):
        # pyserial reads numbers from /sys and fails when a port disappears while it does.
        with suppress(TypeError, ValueError, OSError):
            return list(list_ports.comports())
    return []
