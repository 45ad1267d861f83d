"""Look at one address of an I2C bus: does a chip sleep there, is one awake, is another part there, or nothing?"""

from __future__ import annotations

import enum
import time
from typing import Final, NamedTuple

from atcaprov.chip.commands import SELF_TEST_FAILED, WAKE_TOKEN
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.i2c.bus import WAKE_SECONDS, I2cBus, wake_answer
from atcaprov.hal.i2c.hal import BUSY_SECONDS, LOCK_SECONDS
from atcaprov.hal.i2c.linux_bus import open_bus

_SLEEP: Final = b"\x01"
_POLL_SECONDS: Final = 0.05


class AddressState(enum.Enum):
    """What is at an address."""

    CHIP = "a chip, which sleeps"
    AWAKE_CHIP = "a chip that was awake"
    OTHER_PART = "a part that acknowledges, but does not wake"
    NOTHING = "nothing that acknowledges"


class AddressProbe(NamedTuple):
    """What is at an address, and the first four bytes that it gave."""

    state: AddressState
    answer: bytes


def probe_address(number: int, address: int) -> AddressProbe:
    """Send wake pulses and read the 7-bit address; a part there that gives no wake answer gets a sleep, as in any use.

    A chip that is busy with the command of a killed program is waited for. A chip that is there sleeps afterwards.

    Raises:
        UsageError: the system has no such buses.
        TransportError: another program has the chip (DEVICE_BUSY); the bus cannot be used; or the vendor's library
            is missing.
    """
    bus, chip_lock = open_bus(number), BusLock(f"i2c-{number}-{address:02x}")
    try:
        chip_lock.acquire()
        with BusLock(f"i2c-{number}").held(LOCK_SECONDS):
            return _probe(bus, address)
    finally:
        chip_lock.release()
        bus.close()


def _probe(bus: I2cBus, address: int) -> AddressProbe:
    deadline = time.monotonic() + BUSY_SECONDS
    while not (answer := wake_answer(bus, address)):
        if time.monotonic() >= deadline:
            return AddressProbe(AddressState.NOTHING, b"")
        time.sleep(_POLL_SECONDS)
    if _is_wake(answer):
        bus.write(address, _SLEEP)
        return AddressProbe(AddressState.CHIP, answer)
    bus.write(address, _SLEEP)  # chips that are awake ignore the pulse
    time.sleep(WAKE_SECONDS)
    if not _is_wake(wake_answer(bus, address)):
        return AddressProbe(AddressState.OTHER_PART, answer)
    bus.write(address, _SLEEP)
    return AddressProbe(AddressState.AWAKE_CHIP, answer)


def _is_wake(answer: bytes) -> bool:
    return answer == WAKE_TOKEN or answer.startswith(SELF_TEST_FAILED)
