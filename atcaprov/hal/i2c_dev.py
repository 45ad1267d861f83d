"""The I2C buses of Linux, `/dev/i2c-N`, and the chips at them: `i2c://1/0x60`."""

from __future__ import annotations

import errno
import os
from types import ModuleType
from typing import Final

from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.device_url import both_forms, parse_7_bit_address, parse_target
from atcaprov.hal.i2c import COMMAND_SECONDS, I2cBus, I2cHal
from atcaprov.hal.line_port import gone, no_access, not_there

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

SCHEME: Final = "i2c"
_I2C_SLAVE: Final = 0x0703
"""ioctl: the address of the transfers that follow (Linux include/uapi/linux/i2c-dev.h)."""
_NOT_ACKNOWLEDGED: Final = frozenset({errno.ENXIO, getattr(errno, "EREMOTEIO", errno.ENXIO)})


class LinuxI2cBus(I2cBus):
    """One `/dev/i2c-N`, opened for each transfer: an open handle would hold up the unplugging of a USB adapter."""

    def __init__(self, number: int) -> None:
        self.path = f"/dev/i2c-{number}"

    def write(self, address: int, data: bytes) -> bool:
        """Write to a 7-bit address; tell whether it acknowledged."""
        file = self._open(address)
        try:
            return os.write(file, data) == len(data)
        except OSError as error:
            if error.errno in _NOT_ACKNOWLEDGED:
                return False
            raise gone(self.path, error.strerror) from error
        finally:
            os.close(file)

    def read(self, address: int, count: int) -> bytes:
        """Read from a 7-bit address; nothing if it does not acknowledge."""
        file = self._open(address)
        try:
            return os.read(file, count)
        except OSError as error:
            if error.errno in _NOT_ACKNOWLEDGED:
                return b""
            raise gone(self.path, error.strerror) from error
        finally:
            os.close(file)

    def _open(self, address: int) -> int:
        assert fcntl is not None
        try:
            file = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise not_there(self.path) from error
        except PermissionError as error:
            raise no_access(self.path, error.strerror) from error
        except OSError as error:
            raise gone(self.path, error.strerror) from error
        try:
            fcntl.ioctl(file, _I2C_SLAVE, address)
        except OSError as error:
            os.close(file)
            raise _taken(self.path, address, error) from error
        return file


def open_i2c(rest: str, bus: I2cBus | None = None, *, seconds: float = COMMAND_SECONDS) -> I2cHal:
    """Open the chip that the part of the URL behind `i2c:` names: bus number and 7-bit address, such as `//1/0x60`.

    `bus` stands for the bus in tests. The chip is woken once, so that a missing one shows up at once.

    Raises:
        UsageError: the URL is of another form, or the system has no such buses.
        TransportError: there is no such bus, it can't be opened, or no chip answers at the address.
    """
    number, address = _parse(rest)
    if bus is None and fcntl is None:
        raise UsageError("I2C buses can be used on Linux only.", advice="Use a kit.")
    locks = BusLock(f"i2c-{number}"), BusLock(f"i2c-{number}-{address:02x}")
    hal = I2cHal(
        bus or LinuxI2cBus(number),
        address,
        url=f"{SCHEME}://{number}/0x{address:02x}",
        bus_lock=locks[0],
        chip_lock=locks[1],
        seconds=seconds,
    )
    try:
        hal.wake()
        hal.sleep()
    except BaseException:
        hal.close()
        raise
    return hal


def _parse(rest: str) -> tuple[int, int]:
    target = parse_target(SCHEME, rest)
    bus, _, address = target.name.partition("/")
    if not bus.isdecimal() or not bus.isascii() or not address:
        raise UsageError(
            f"'{SCHEME}:{rest}' names no bus and address.", advice="Write i2c://1/0x60: bus 1, 7-bit address 0x60."
        )
    return int(bus), parse_7_bit_address(address)


def _taken(path: str, address: int, error: OSError) -> TransportError:
    where = f"{both_forms(address << 1)} at {path}"
    if error.errno == errno.EBUSY:
        return TransportError(
            f"A driver of the kernel holds the chip {where}.",
            advice="Unbind the driver (atmel_ecc) from it.",
            code=Code.DEVICE_BUSY,
        )
    return gone(path, error.strerror)
