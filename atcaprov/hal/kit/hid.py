"""Kits at a HID port: lines in reports of 64 bytes, through hidapi.

On Linux its `hidraw` module uses the kernel's driver and `hid` uses libusb, which takes the port from the kernel while
it is open; elsewhere there is only `hid`. hidapi's calls have time limits; the vendor's transport does not.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

from atcaprov.bounded_reading import may_be_there
from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.device_url import UrlTarget, device_file, parse_kit_target
from atcaprov.hal.errors import gone, missing, no_access, not_there, silent, wrong_kind
from atcaprov.hal.kit.hal import KitHal, open_kit
from atcaprov.hal.kit.line_port import KitTimeouts, LinePort
from atcaprov.hal.udev_rule import INSTALL_COMMAND
from atcaprov.hal.usb import HID, find_one, is_hidraw, libusb_node, plugged_name_of_hid
from atcaprov.kit_protocol.framing import REPORT_ID, REPORT_SIZE, ReportBuffer, to_reports

SCHEME: Final = "kit-hid"
_DRAINED_REPORTS: Final = 1024
"""Reports discarded at most; the kernel keeps 64, libusb 30."""
_RIGHTS: Final = f" if no program does, run '{INSTALL_COMMAND}';"
HIDRAW: Final = "hidraw"
LIBUSB: Final = "libusb"
_MODULES: Final = {HIDRAW: "hidraw", LIBUSB: "hid"}


def hid_module(backend: str = "") -> Any:
    """Return hidapi's module: of the backend that was named, or the best of this system.

    Raises:
        UsageError: the backend is unknown.
        TransportError: hidapi is not installed (code LIBRARY_MISSING).
    """
    _require_backend(backend)
    names = [_MODULES[backend]] if backend else ["hidraw", "hid"] if sys.platform == "linux" else ["hid"]
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise missing("hidapi", "a HID kit")


def _require_backend(name: str) -> None:
    if name and name not in _MODULES:
        raise UsageError(f"Unknown HID backend '{name}'.", advice="Use hidraw or libusb.")


class HidPort(LinePort):
    """One HID device, opened by path; `module` is hidapi, or a replacement in tests."""

    def __init__(self, path: str, module: Any) -> None:
        self.url = f"{SCHEME}://{path}"
        self._buffer = ReportBuffer()
        self._lock = BusLock(plugged_name_of_hid(path) or path)
        self._lock.acquire()
        try:
            self._device = _open(path, module)
        except BaseException:
            self._lock.release()
            raise

    def send(self, message: bytes) -> None:
        """Send a message, LF included."""
        for report in to_reports(message):
            try:
                written = self._device.write(REPORT_ID + report)
            except (OSError, ValueError) as error:
                raise gone(self.url, error) from error
            if written < len(report):
                raise gone(self.url, "a report was not accepted")

    def receive(self, seconds: float) -> bytes:
        """Return the next line without LF."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise silent(self.url, seconds)
            line = self._buffer.receive_report(self._read(max(1, round(left * 1000))))
            if line is not None:
                return line

    def drain(self) -> None:
        """Discard reports that answer no request."""
        self._buffer.clear()
        for _ in range(_DRAINED_REPORTS):
            if not self._read(None):
                return

    def close(self) -> None:
        """Close the device; closing twice does no harm."""
        try:
            self._device.close()
        except (OSError, ValueError):
            pass  # it was unplugged
        finally:
            self._lock.release()

    def _read(self, milliseconds: int | None) -> bytes:
        try:
            # Without a time limit a device in non-blocking mode gives what is there; a limit of 0 would never end.
            report = self._device.read(REPORT_SIZE, *(() if milliseconds is None else (milliseconds,)))
        except (OSError, ValueError) as error:
            raise gone(self.url, error) from error
        return bytes(report or b"")


def parse_kit_hid(rest: str) -> tuple[UrlTarget, int | None]:
    """Parse what follows `kit-hid:`, see `open_kit_hid`: target and 8-bit address. Nothing is opened.

    Raises:
        UsageError: it has another form.
    """
    target, address = parse_kit_target(SCHEME, rest, options=("backend",))
    _require_backend(target.options.get("backend", ""))
    return target, address


def open_kit_hid(rest: str, limits: KitTimeouts | None = None, module: Any = None) -> KitHal:
    """Open the chip that the part of the URL behind `kit-hid:` names.

    The target is a path such as `/dev/hidraw3`, a USB port path such as `1-2.3`, a USB serial number, or nothing where
    only one such kit is plugged in. Option `address` chooses a chip by its 8-bit address, `backend` hidapi's way to
    the device: hidraw or libusb. `module` replaces hidapi in tests.

    Raises:
        UsageError: the URL or the choice is not clear, or the path is not a HID device.
        TransportError: the device does not exist or cannot be opened, or no kit answers there.
    """
    target, address = parse_kit_hid(rest)
    hid = module or hid_module(target.options.get("backend", ""))
    node = device_file(target.name if target.name.startswith("/") else find_one(HID, target.name, hid).path)
    return open_kit(node, lambda: HidPort(node, hid), address, limits)


def _open(path: str, module: Any) -> Any:
    _check_node(path)
    device = module.device()
    try:
        device.open_path(os.fsencode(path))
        device.set_nonblocking(1)
    except (OSError, ValueError) as error:
        raise _not_opened(path, error) from error
    return device


def _check_node(path: str) -> None:
    if not path.startswith("/"):
        return  # not a device file: a path of libusb or of another system
    try:
        is_one = is_hidraw(path)
    except PermissionError as error:
        raise no_access(path, error.strerror) from error
    except OSError:
        return  # it is not there, which opening reports it
    if not is_one:
        raise wrong_kind(path, "HID device")
    if not os.access(path, os.R_OK | os.W_OK):
        raise no_access(path, "no permission")


def _not_opened(path: str, error: BaseException) -> TransportError:
    if path.startswith("/") and not may_be_there(Path(path)):
        return not_there(path)
    node = libusb_node(path)
    if node and not os.access(node, os.R_OK | os.W_OK):
        return no_access(node, "no permission")
    rights = "" if node or path.startswith("/") else _RIGHTS
    return TransportError(
        f"The HID device {path} cannot be opened: {error}.",
        advice=f"End the program that uses it and reconnect the board;{rights} see docs/howto/real-hardware.md.",
        code=Code.DEVICE_BUSY,
    )
