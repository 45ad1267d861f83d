"""Transfers on the I2C buses of Linux by the vendor's library: its own HAL for `/dev/i2c-N`.

Of the library's interface functions only those for one transfer are used. `atsend` writes a word address and data,
`atreceive` reads as many bytes as it is told; both open the device file and close it again, so that no open handle
holds up the unplugging of a USB adapter. Their status is -16 whatever happened; errno still tells what the kernel said,
since nothing but free() and close() follows the call that failed.
"""

from __future__ import annotations

import ctypes
import functools
from ctypes import POINTER, byref, c_int, c_uint8, c_uint16, c_void_p
from pathlib import Path
from typing import Any, Final

from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.hal.i2c.device_file import no_bus, require_silence
from atcaprov.hal.i2c.hal import I2cBus
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
    """One `/dev/i2c-N`, of which only what the library makes in memory stays open until `close`.

    Raises:
        TransportError: the library is not there (code LIBRARY_MISSING).
        UsageError: the bus is there, but the library can't count that far.
    """

    def __init__(self, number: int) -> None:
        self.path = f"/dev/i2c-{number}"
        if number > _LAST_BUS:  # the library would take another bus, number modulo 256
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
        """Give back what the library holds in memory; a later transfer makes it anew."""
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
                f"The vendor's driver has no transport for I2C (status {status}).",
                advice=OTHER_VERSION,
                code=Code.LIBRARY_MISSING,
            )
