"""The device file of an I2C bus, `/dev/i2c-N`: why a transfer over it failed."""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

from atcaprov.errors import Code, TransportError
from atcaprov.hal.device_url import both_forms
from atcaprov.hal.errors import gone, no_access

_I2C_SLAVE: Final = 0x0703
"""ioctl: the address of the transfers that follow (Linux include/uapi/linux/i2c-dev.h)."""
_NOT_ACKNOWLEDGED: Final = frozenset({0, errno.ENXIO, getattr(errno, "EREMOTEIO", errno.ENXIO)})
"""Error numbers of an address that nobody acknowledges; 0 if the number got lost."""


def has_device_files() -> bool:
    """Tell whether this system has I2C buses as device files."""
    return sys.platform != "win32"


def require_silence(path: str, address: int, error_number: int) -> None:
    """Return if a failed transfer means that the 7-bit address was not acknowledged.

    Opens the device file and claims the address, and moves nothing on the bus.

    Raises:
        TransportError: the bus is not there or gone, can't be opened, a driver of the kernel holds the address, or the
            bus failed.
    """
    os.close(_opened(path, address))
    if error_number not in _NOT_ACKNOWLEDGED:
        raise gone(path, os.strerror(error_number))


def no_bus(path: str) -> TransportError:
    """Return the error for an I2C bus that has no device file."""
    return TransportError(
        f"There is no {path}.",
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
            f"A driver of the kernel holds the chip {where}.",
            advice="Unbind the driver (atmel_ecc) from it.",
            code=Code.DEVICE_BUSY,
        )
    return gone(path, error.strerror)
