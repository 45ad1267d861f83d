"""The I2C buses of Linux, `/dev/i2c-N`, and the chips at them: `i2c://1/0x60`."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from typing import Final

from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.device_url import parse_7_bit_address, parse_target
from atcaprov.hal.i2c.device_file import has_device_files
from atcaprov.hal.i2c.hal import COMMAND_SECONDS, LOCK_SECONDS, I2cBus, I2cHal, rouse, wakes
from atcaprov.hal.i2c.linux_bus import LibraryI2cBus

SCHEME: Final = "i2c"
AWAKE_SECONDS: Final = 1.7
"""How long a chip that nobody talks to stays awake at most (DS20005927A, table of the wake and sleep times)."""
_AWAKE_POLL_SECONDS: Final = 0.05
_BUS_NUMBER: Final = re.compile(r"[0-9]{1,20}")


def open_i2c(rest: str, bus: I2cBus | None = None, *, seconds: float = COMMAND_SECONDS) -> I2cHal:
    """Open the chip that the part of the URL behind `i2c:` names: bus number and 7-bit address, such as `//1/0x60`.

    `bus` stands for the bus in tests. The chip is woken once, so that a missing one shows up at once.

    Raises:
        UsageError: the URL is of another form, or the system has no such buses.
        TransportError: there is no such bus, it can't be opened, no chip answers at the address, or the vendor's
            library is not there.
    """
    number, address = parse_bus_and_address(rest)
    locks = BusLock(f"i2c-{number}"), BusLock(f"i2c-{number}-{address:02x}")
    hal = I2cHal(
        bus or _bus(number),
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


def woken_addresses(number: int, addresses: Iterable[int]) -> Iterator[int]:
    """Give those of the 7-bit addresses of a bus where a chip wakes; the others get a pulse and a read, no write.

    Addresses that a driver of the kernel holds are passed over, and so are chips that another program keeps awake.

    Raises:
        UsageError: the system has no such buses.
        TransportError: the bus can't be used, or the vendor's library is not there.
    """
    bus, lock, wanted = _bus(number), BusLock(f"i2c-{number}"), tuple(addresses)
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
    """Give those of the 7-bit addresses of a bus where a chip wakes or is in use; nothing is written to them.

    A stranger may be there: a port expander takes any byte for its outputs. So a chip that a killed program has left
    awake is not sent to sleep but waited for, all addresses at the same time.

    Raises:
        UsageError: the system has no such buses.
        TransportError: the bus can't be used, or the vendor's library is not there.
    """
    bus, lock, left = _bus(number), BusLock(f"i2c-{number}"), list(addresses)
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
            if error.code == Code.DEVICE_BUSY:  # a driver of the kernel has it
                return True
            raise


def _wakes_if_free(bus: I2cBus, address: int) -> bool:
    try:
        return wakes(bus, address)
    except TransportError as error:
        if error.code == Code.DEVICE_BUSY:
            return False
        raise


def _bus(number: int) -> I2cBus:
    if not has_device_files():
        raise UsageError("I2C buses can be used on Linux only.", advice="Use a kit.")
    return LibraryI2cBus(number)


def parse_bus_and_address(rest: str) -> tuple[int, int]:
    """Take apart what stands behind `i2c:`: bus number and 7-bit address.

    Raises:
        UsageError: it is of another form.
    """
    target = parse_target(SCHEME, rest)
    bus, _, address = target.name.partition("/")
    if not _BUS_NUMBER.fullmatch(bus) or not address:
        raise UsageError(
            f"'{SCHEME}:{rest}' names no bus and address.", advice="Write i2c://1/0x60: bus 1, 7-bit address 0x60."
        )
    return int(bus), parse_7_bit_address(address)
