"""The I2C buses of Linux, `/dev/i2c-N`, and the chips at them: `i2c://1/0x60`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Final

from atcaprov.errors import Code, TransportError
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.i2c.bus import I2cBus, rouse, wakes
from atcaprov.hal.i2c.hal import LOCK_SECONDS
from atcaprov.hal.i2c.linux_bus import open_bus

AWAKE_SECONDS: Final = 1.7
"""How long an unused chip stays awake at most (DS20005927A, table of the wake and sleep times)."""
_AWAKE_POLL_SECONDS: Final = 0.05


def woken_addresses(number: int, addresses: Iterable[int]) -> Iterator[int]:
    """Yield the 7-bit addresses of a bus where a chip wakes; the others get a pulse and a read, no write.

    Addresses that a kernel driver uses are skipped, and so are chips that another program keeps awake.

    Raises:
        UsageError: the system has no such buses.
        TransportError: the bus cannot be used, or the vendor's library is missing.
    """
    bus, lock, wanted = open_bus(number), BusLock(f"i2c-{number}"), tuple(addresses)
    try:
        if wanted:
            with lock.held(LOCK_SECONDS):
                rouse(bus)
        for address in wanted:
            with lock.held(LOCK_SECONDS):
                is_chip = _wakes_if_free(bus, address)
            if is_chip:
                yield address
    finally:
        bus.close()


def found_addresses(number: int, addresses: Iterable[int]) -> Iterator[int]:
    """Yield the 7-bit addresses of a bus where a chip wakes or is in use; nothing is written to them.

    Another part may be there: a port expander takes any byte for its outputs. So a chip that a killed program has
    left awake is not sent to sleep but waited for, all addresses at the same time.

    Raises:
        UsageError: the system has no such buses.
        TransportError: the bus cannot be used, or the vendor's library is missing.
    """
    bus, lock, left = open_bus(number), BusLock(f"i2c-{number}"), list(addresses)
    deadline = time.monotonic() + AWAKE_SECONDS
    try:
        while left:
            for address in tuple(left):
                if _is_in_use(number, address) or _wakes_or_is_held(bus, lock, address):
                    left.remove(address)
                    yield address
            if time.monotonic() >= deadline:
                return
            time.sleep(_AWAKE_POLL_SECONDS)
    finally:
        bus.close()


def _is_in_use(number: int, address: int) -> bool:
    lock = BusLock(f"i2c-{number}-{address:02x}")
    try:
        lock.acquire()
    except TransportError as error:
        if error.code == Code.DEVICE_BUSY:
            return True
        raise
    lock.release()
    return False


def _wakes_or_is_held(bus: I2cBus, lock: BusLock, address: int) -> bool:
    with lock.held(LOCK_SECONDS):
        try:
            return wakes(bus, address)
        except TransportError as error:
            if error.code == Code.DEVICE_BUSY:  # a kernel driver uses it
                return True
            raise


def _wakes_if_free(bus: I2cBus, address: int) -> bool:
    try:
        return wakes(bus, address)
    except TransportError as error:
        if error.code == Code.DEVICE_BUSY:
            return False
        raise
