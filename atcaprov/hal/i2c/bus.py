"""One I2C bus: its transfers, and the wake pulse, which reaches every chip on it.

Sequence and times of the pulse: DS20005927A, section 7.
"""

from __future__ import annotations

import abc
import time
from contextlib import suppress
from typing import Final

from atcaprov.chip.commands import SELF_TEST_FAILED, WAKE_TOKEN
from atcaprov.errors import TransportError

GENERAL_CALL: Final = 0
_WAKE: Final = b"\x01"
"""The byte behind the general call, where 00 is forbidden (UM10204, 3.1.13); the vendor's library sends 01, too. What
wakes a chip is the address byte."""
WAKE_SECONDS: Final = 0.0015
SELF_TEST_WAKE_SECONDS: Final = 0.020
"""For a chip that tests itself at each wake (ATECC608B-TFLXTLS data sheet, 9.3)."""


class I2cBus(abc.ABC):
    """One bus. If no chip acknowledges the address, a write returns False and a read returns nothing."""

    @abc.abstractmethod
    def write(self, address: int, data: bytes) -> bool:
        """Write to a 7-bit address; tell whether it acknowledged.

        Raises:
            TransportError: the bus failed.
        """

    @abc.abstractmethod
    def read(self, address: int, count: int) -> bytes:
        """Read `count` bytes from a 7-bit address; nothing if it does not acknowledge.

        Raises:
            TransportError: the bus failed.
        """

    def close(self) -> None:  # noqa: B027 - most buses hold nothing
        """Release what the transfers need; closing twice does no harm."""


def wakes(bus: I2cBus, address: int) -> bool:
    """Send the wake pulse, which reaches every chip of the bus; tell whether it woke the chip at a 7-bit address.

    Nothing is written to the address itself. A chip that is awake already may count as missing; one whose self
    test failed counts as awake.

    Raises:
        TransportError: the bus failed.
    """
    answer = wake_answer(bus, address)
    return answer == WAKE_TOKEN or answer.startswith(SELF_TEST_FAILED)


def rouse(bus: I2cBus) -> None:
    """Send the wake pulse and wait until every chip of the bus has had time to wake.

    Raises:
        TransportError: the bus failed.
    """
    _send_pulse(bus)
    time.sleep(SELF_TEST_WAKE_SECONDS)


def wake_answer(bus: I2cBus, address: int) -> bytes:
    """Send the wake pulse and return what the chip at a 7-bit address answers, 4 bytes; empty if it does not."""
    _send_pulse(bus)
    time.sleep(WAKE_SECONDS)
    return bus.read(address, len(WAKE_TOKEN))


def _send_pulse(bus: I2cBus) -> None:
    with suppress(TransportError):  # no chip acknowledges, which some adapters report as a failed bus
        bus.write(GENERAL_CALL, _WAKE)  # holds SDA low for long enough at up to 133 kHz
