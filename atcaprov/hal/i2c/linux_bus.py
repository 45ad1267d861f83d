"""Transfers on the I2C buses of Linux by the vendor's library: its own HAL for `/dev/i2c-N`.

Of the library's interface functions only those for one transfer are used. `atsend` writes a word address and data,
`atreceive` reads as many bytes as it is asked for; both open the device file and close it again, so that no open handle
holds up the unplugging of a USB adapter. Their status is -16 for every failure; errno still has the kernel's reason,
since nothing but free() and close() follows the call that failed.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import sys
from ctypes import POINTER, byref, c_int, c_uint8, c_uint16, c_void_p
from pathlib import Path
from typing import Any, Final

from atcaprov.bounded_reading import may_be_there
from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.hal.device_url import both_forms
from atcaprov.hal.errors import gone, no_access
from atcaprov.hal.i2c.bus import I2cBus
from atcaprov.vendor_library import OTHER_VERSION, InterfaceConfig, open_library

_I2C_INTERFACE: Final = 0
_DEVICE_TYPE_608: Final = 3
_SUCCESS: Final = 0
_LAST_BUS: Final = 255
_INTERFACE_POINTERS: Final = 16
"""Room for `struct atca_iface`, which has four pointers in version 3.8."""

_SIGNATURES: Final = {
    "initATCAIface": (POINTER(InterfaceConfig), c_void_p),
    "atsend": (c_void_p, c_uint8, c_void_p, c_int),
    "atreceive": (c_void_p, c_uint8, c_void_p, POINTER(c_uint16)),
    "releaseATCAIface": (c_void_p,),
}


@functools.cache
def _load() -> ctypes.CDLL:
    return open_library(_SIGNATURES, use_errno=True)


class LibraryI2cBus(I2cBus):
    """One `/dev/i2c-N`. Until `close` only the library's structures in memory are kept, no open file.

    Raises:
        TransportError: the library is missing (code LIBRARY_MISSING).
        UsageError: the bus exists, but its number is too high for the library.
    """

    def __init__(self, number: int) -> None:
        self.path = f"/dev/i2c-{number}"
        if number > _LAST_BUS:  # the library would use another bus, number modulo 256
            raise _out_of_reach(number) if Path(self.path).exists() else no_bus(self.path)
        self._number = number
        self._library = _load()
        self._interfaces: dict[int, _LibraryInterface] = {}

    def write(self, address: int, data: bytes) -> bool:
        """Write a word address and what follows it to a 7-bit address; tell whether it acknowledged."""
        interface = self._interface(address)
        ctypes.set_errno(0)
        status = self._library.atsend(interface.pointer, data[0], data[1:], len(data) - 1)
        return self._succeeded(status, address)

    def read(self, address: int, count: int) -> bytes:
        """Read from a 7-bit address; nothing if it does not acknowledge."""
        interface, buffer = self._interface(address), (c_uint8 * count)()
        ctypes.set_errno(0)
        status = self._library.atreceive(interface.pointer, address << 1, buffer, byref(c_uint16(count)))
        return bytes(buffer) if self._succeeded(status, address) else b""

    def close(self) -> None:
        """Free the library's structures; a later transfer makes them again."""
        while self._interfaces:
            _, interface = self._interfaces.popitem()
            self._library.releaseATCAIface(interface.pointer)

    def _interface(self, address: int) -> _LibraryInterface:
        if address not in self._interfaces:
            self._interfaces[address] = _LibraryInterface(self._library, self._number, address)
        return self._interfaces[address]

    def _succeeded(self, status: int, address: int) -> bool:
        if status == _SUCCESS:
            return True
        require_silence(self.path, address, ctypes.get_errno())
        return False


def _out_of_reach(number: int) -> UsageError:
    return UsageError(
        f"I2C bus {number} cannot be used: the vendor's driver knows buses 0 to {_LAST_BUS}.",
        advice="Give the bus a lower number, or use a kit.",
    )


class _LibraryInterface:
    """The library's interface for one address of one bus, and the configuration into which it points."""

    def __init__(self, library: Any, bus: int, address: int) -> None:
        self._config = InterfaceConfig(iface_type=_I2C_INTERFACE, devtype=_DEVICE_TYPE_608)
        self._config.parameters.i2c.address = address << 1
        self._config.parameters.i2c.bus = bus
        self._interface = (c_void_p * _INTERFACE_POINTERS)()
        self.pointer = ctypes.addressof(self._interface)
        status = library.initATCAIface(byref(self._config), self.pointer)
        if status != _SUCCESS:
            raise TransportError(
                f"The vendor's driver has no I2C transport (status {status}).",
                advice=OTHER_VERSION,
                code=Code.LIBRARY_MISSING,
            )


def open_bus(number: int) -> I2cBus:
    """Return the I2C bus of this number.

    Raises:
        UsageError: the system has no such buses.
        TransportError: the vendor's library is missing, or the bus does not exist.
    """
    if not has_device_files():
        raise UsageError("I2C buses can be used on Linux only.", advice="Use a kit.")
    return LibraryI2cBus(number)


_I2C_SLAVE: Final = 0x0703
"""ioctl: the address of the transfers that follow (Linux include/uapi/linux/i2c-dev.h)."""
_NOT_ACKNOWLEDGED: Final = frozenset({0, errno.ENXIO, getattr(errno, "EREMOTEIO", errno.ENXIO)})
"""Error numbers of an address that no chip acknowledges; 0 if the number was lost."""


def has_device_files() -> bool:
    """Tell whether this system has I2C buses as device files."""
    return sys.platform != "win32"


def require_permission(number: int) -> None:
    """Raise TransportError (DEVICE_NO_PERMISSION) if the user may not open the device file of a bus; opens nothing."""
    path = f"/dev/i2c-{number}"
    if may_be_there(Path(path)) and not os.access(path, os.R_OK | os.W_OK):
        raise no_access(path, "no permission")


def require_silence(path: str, address: int, error_number: int) -> None:
    """Return if a failed transfer means that the 7-bit address was not acknowledged.

    Opens the device file and claims the address; nothing moves on the bus.

    Raises:
        TransportError: the bus is missing or cannot be opened, a kernel driver uses the address, or the
            bus failed.
    """
    os.close(_opened(path, address))
    if error_number not in _NOT_ACKNOWLEDGED:
        raise gone(path, os.strerror(error_number))


def no_bus(path: str) -> TransportError:
    """Return the error for an I2C bus that has no device file."""
    return TransportError(
        f"{path} does not exist.",
        advice="'provisioning-client devices' without --i2c lists the buses. If it lists none, switch I2C on in the"
        " computer's own settings and run 'modprobe i2c-dev'.",
        code=Code.DEVICE_NOT_FOUND,
    )


if sys.platform == "win32":

    def _opened(path: str, _address: int) -> int:
        raise no_bus(path)

else:
    import fcntl

    def _opened(path: str, address: int) -> int:
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise no_bus(path) from error
        except PermissionError as error:
            raise no_access(path, error.strerror) from error
        except OSError as error:
            raise gone(path, error.strerror) from error
        try:
            fcntl.ioctl(file, _I2C_SLAVE, address)
        except OSError as error:
            os.close(file)
            raise _taken(path, address, error) from error
        return file


def _taken(path: str, address: int, error: OSError) -> TransportError:
    where = f"{both_forms(address << 1)} at {path}"
    if error.errno == errno.EBUSY:
        return TransportError(
            f"A kernel driver uses the chip {where}.",
            advice="Unbind the driver (atmel_ecc) from it.",
            code=Code.DEVICE_BUSY,
        )
    return gone(path, error.strerror)
