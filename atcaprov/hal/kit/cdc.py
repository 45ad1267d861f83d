"""Kits at a serial port (USB CDC): lines as a byte stream, 115200 baud 8N1, through pyserial."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from atcaprov.bounded_reading import may_be_there
from atcaprov.errors import AtcaProvError, Code, TransportError
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.device_url import UrlTarget, device_file, names_a_file, parse_kit_target
from atcaprov.hal.errors import gone, missing, no_access, not_there, wrong_kind
from atcaprov.hal.kit.hal import KitHal, open_kit
from atcaprov.hal.kit.line_port import KitTimeouts, StreamPort
from atcaprov.hal.port_users import other_users, users_text
from atcaprov.hal.udev_rule import INSTALL_COMMAND
from atcaprov.hal.usb import CDC, find_one

if TYPE_CHECKING:
    import serial

SCHEME: Final = "kit-cdc"
_KIND: Final = "serial port"
_BAUD: Final = 115200
_READ_SIZE: Final = 4096
_WRITE_SECONDS: Final = 2.0


class CdcPort(StreamPort):
    """One serial port, opened for this program alone."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{SCHEME}://{path}")
        self._lock = BusLock(path)
        self._lock.acquire()
        try:
            self._serial = _open(path)
        except BaseException:
            self._lock.release()
            raise
        self._errors = _port_errors()

    def send(self, message: bytes) -> None:
        """Send a message, LF included."""
        try:
            self._serial.write(message)
        except self._errors as error:
            raise gone(self.url, error) from error

    def _drain_bytes(self) -> None:
        try:
            self._serial.reset_input_buffer()
        except self._errors as error:
            raise gone(self.url, error) from error

    def close(self) -> None:
        """Close the port; closing twice does no harm."""
        try:
            self._serial.close()
        except self._errors:
            pass  # it was unplugged
        finally:
            self._lock.release()

    def _read(self, seconds: float) -> bytes:
        try:
            self._serial.timeout = seconds
            return bytes(self._serial.read(min(max(1, self._serial.in_waiting), _READ_SIZE)))
        except self._errors as error:
            raise gone(self.url, error) from error


def parse_kit_cdc(rest: str) -> tuple[UrlTarget, int | None]:
    """Parse what follows `kit-cdc:`, see `open_kit_cdc`: target and 8-bit address. Nothing is opened.

    Raises:
        UsageError: it has another form.
    """
    return parse_kit_target(SCHEME, rest)


def open_kit_cdc(rest: str, limits: KitTimeouts | None = None) -> KitHal:
    """Open the chip that the part of the URL behind `kit-cdc:` names.

    The target is a path such as `/dev/ttyACM0` or `COM3`, a USB port path such as `1-2.3`, a USB serial number, or
    nothing where only one such kit is plugged in; option `address` chooses a chip by its 8-bit address.

    Raises:
        UsageError: the URL or the choice is not clear, or the path is not a serial port.
        TransportError: the port does not exist or cannot be opened, or no kit answers there.
    """
    target, address = parse_kit_cdc(rest)
    node = device_file(target.name if names_a_file(target.name) else find_one(CDC, target.name).path)
    return open_kit(node, lambda: CdcPort(node), address, limits)


def _open(path: str) -> serial.Serial:
    try:
        import serial
    except ImportError as error:
        raise missing("pyserial", "a serial port") from error
    if path.startswith("/"):
        _check_node(path)
    try:
        return serial.Serial(path, _BAUD, timeout=0, write_timeout=_WRITE_SECONDS, exclusive=_exclusive())
    except _port_errors() as error:
        raise _not_opened(path, error) from error


def _check_node(path: str) -> None:
    try:
        mode = Path(path).stat().st_mode
    except PermissionError as error:
        raise no_access(path, error.strerror) from error
    except OSError as error:
        raise not_there(path) from error
    if not stat.S_ISCHR(mode):
        raise wrong_kind(path, _KIND)
    if not os.access(path, os.R_OK | os.W_OK):
        raise no_access(path, "no permission")


def _exclusive() -> bool | None:
    return True if os.name == "posix" else None  # elsewhere a port has one user anyway


def _not_opened(path: str, error: BaseException) -> AtcaProvError:
    if path.startswith("/") and not may_be_there(Path(path)):
        return not_there(path)
    if path.startswith("/") and not _may_be_terminal(path):
        return wrong_kind(path, _KIND)
    return TransportError(
        f"The serial port {path} cannot be opened, since {users_text(other_users(Path(path)))} has it: {error}.",
        advice=f"End the program that uses it. If it is ModemManager, run '{INSTALL_COMMAND}'.",
        code=Code.DEVICE_BUSY,
    )


def _may_be_terminal(path: str) -> bool:
    if sys.platform == "win32":
        return True
    try:
        file = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:
        return True  # it cannot be asked, since it is in use
    try:
        return os.isatty(file)
    finally:
        os.close(file)


def _port_errors() -> tuple[type[BaseException], ...]:
    """Return what pyserial raises when a port misbehaves: its own error is an OSError, those of termios are not."""
    errors: list[Any] = [OSError, ValueError]
    if sys.platform != "win32":
        import termios

        errors.append(termios.error)
    return tuple(errors)
