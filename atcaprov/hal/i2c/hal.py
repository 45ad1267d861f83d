"""A chip at an I2C bus: wake pulse, word addresses, polling. `I2cBus` carries the transfers.

Sequence and times are those of the part (DS20005927A, section 7): a command is word address 03 and the packet; until
it has ended the chip does not acknowledge; word address 00 sets the read pointer back; the count is read first, then
the rest.
"""

from __future__ import annotations

import abc
import time
from contextlib import suppress
from typing import Final

from atcaprov.chip.commands import SELF_TEST_FAILED, WAKE_TOKEN, Status
from atcaprov.chip.refusals import refusal
from atcaprov.errors import Code, DeviceError, ProtocolError, TransportError
from atcaprov.hal.base import Hal
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.errors import address_taken

GENERAL_CALL: Final = 0
_WAKE: Final = b"\x01"
"""Behind the general call, where 00 is forbidden (UM10204, 3.1.13); also the vendor's library sends 01. What wakes is
the address byte."""
_RESET: Final = b"\x00"
_SLEEP: Final = b"\x01"
_IDLE: Final = b"\x02"
_COMMAND: Final = b"\x03"
_WAKE_SECONDS: Final = 0.0015
_SELF_TEST_WAKE_SECONDS: Final = 0.020
"""For a chip that tests itself at each wake (ATECC608B-TFLXTLS data sheet, 9.3)."""
_POLL_SECONDS: Final = 0.001
_SHORTEST_REPLY: Final = 4
_LONGEST_REPLY: Final = 155
COMMAND_SECONDS: Final = 4.0
BUSY_SECONDS: Final = 0.7
"""How long a chip may be deaf from a command whose program was killed: the watchdog ends it (DS20005927A, table of the
wake and sleep times)."""
_BUSY_POLL_SECONDS: Final = 0.05
LOCK_SECONDS: Final = 5.0
"""How long the bus may be another program's: longer than one command of it."""


class I2cBus(abc.ABC):
    """One bus. Both transfers return False or nothing where the address is not acknowledged."""

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

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Release what the transfers need; closing twice does no harm."""


def wakes(bus: I2cBus, address: int) -> bool:
    """Send the wake pulse, which reaches every chip of the bus; tell whether the one at a 7-bit address woke by it.

    Nothing is written to the address itself. A chip that is awake already may be taken for none; one whose self test
    has failed woke.

    Raises:
        TransportError: the bus failed.
    """
    answer = _wake_answer(bus, address)
    return answer == WAKE_TOKEN or answer.startswith(SELF_TEST_FAILED)


def rouse(bus: I2cBus) -> None:
    """Send the wake pulse and wait until every chip of the bus is awake that will be.

    Raises:
        TransportError: the bus failed.
    """
    _send_pulse(bus)
    time.sleep(_SELF_TEST_WAKE_SECONDS)


def _wake_answer(bus: I2cBus, address: int) -> bytes:
    _send_pulse(bus)
    time.sleep(_WAKE_SECONDS)
    return bus.read(address, len(WAKE_TOKEN))


def _send_pulse(bus: I2cBus) -> None:
    with suppress(TransportError):  # nobody acknowledges, which some adapters report as a failed bus
        bus.write(GENERAL_CALL, _WAKE)  # holds SDA low for long enough at up to 133 kHz


class I2cHal(Hal):
    """One chip at a 7-bit address.

    The bus is locked against other programs from wake to idle or sleep, and the chip for as long as it is open: the
    wake pulse reaches every chip of a bus, and one chip can't serve two programs.
    """

    def __init__(
        self, bus: I2cBus, address: int, *, url: str, bus_lock: BusLock, chip_lock: BusLock, seconds: float
    ) -> None:
        self.url = url
        self._bus = bus
        self._address = address
        self._bus_lock = bus_lock
        self._chip_lock = chip_lock
        self._seconds = seconds
        self._awake = False
        self._used = False
        self._next: tuple[int, str, BusLock] | None = None
        """Address, URL and lock of the place to which the chip moves when it sleeps."""
        chip_lock.acquire()

    def wake(self) -> None:
        """Wake the chip; one that was left awake by another program is put to sleep first, a busy one is waited for.

        Raises:
            TransportError: it does not wake, or the bus failed.
            DeviceError: its self test has failed (status 07).
        """
        deadline = time.monotonic() + min(self._seconds, BUSY_SECONDS)
        while not self._wakes_now():
            if time.monotonic() >= deadline:
                raise self._no_reply("does not wake")
            time.sleep(_BUSY_POLL_SECONDS)

    def idle(self) -> None:
        """Send the chip to idle and give the bus back."""
        self._end(_IDLE)

    def sleep(self) -> None:
        """Send the chip to sleep, an idle one after waking it, and give the bus back."""
        used, self._used = self._used, False
        if used and not self._awake:
            try:
                self.wake()
            except DeviceError:
                self._bus_lock.acquire(LOCK_SECONDS)  # its self test has failed, and it is awake all the same
            self._used = False
        self._end(_SLEEP)

    def exchange(self, packet: bytes) -> bytes:
        """Send one packet and return its reply.

        Raises:
            TransportError: the chip does not acknowledge, or not in time; the bus failed.
            ProtocolError: the reply's count can't be right (code BAD_PACKET).
        """
        try:
            return self._exchange(packet)
        except BaseException:
            self._awake = False  # the next wake looks for itself how the chip is
            self._bus_lock.release()
            raise

    def follow(self, address: int) -> str:
        """Look for the chip at another address, 8-bit form, too; return its URL there.

        Raises:
            TransportError: as `Hal.follow`.
        """
        bus = self.url.rpartition("/")[0]
        url = f"{bus}/0x{address >> 1:02x}"
        lock = BusLock(f"i2c-{bus.rpartition('/')[2]}-{address >> 1:02x}")
        if address >> 1 != self._address:
            lock.acquire()
            if self._is_answered(address >> 1):
                lock.release()
                raise address_taken(url)
        self._next = address >> 1, url, lock
        return url

    def _is_answered(self, address: int) -> bool:
        """Wake the neighbours and read: an awake chip ignores the pulse."""
        if self._awake:
            return bool(_wake_answer(self._bus, address))
        with self._bus_lock.held(LOCK_SECONDS):
            return bool(_wake_answer(self._bus, address))

    def close(self) -> None:
        """Send the chip to sleep if it may be awake or idle, and release it."""
        try:
            if self._used:
                self.sleep()
        except TransportError:
            pass  # it is gone: nothing is left to put to sleep
        finally:
            self._bus.close()
            self._bus_lock.release()
            self._chip_lock.release()
            if self._next is not None:
                self._next[2].release()

    def _exchange(self, packet: bytes) -> bytes:
        if not self._bus.write(self._address, _COMMAND + packet):
            raise self._no_reply("does not acknowledge a command")
        deadline = time.monotonic() + self._seconds
        while not self._bus.write(self._address, _RESET):
            if time.monotonic() >= deadline:
                raise self._no_reply(f"did not answer within {self._seconds:.3g} s")
            time.sleep(_POLL_SECONDS)
        return self._read_reply()

    def _wakes_now(self) -> bool:
        """Try once; the bus stays locked if the chip is awake then."""
        self._bus_lock.acquire(LOCK_SECONDS)
        was_awake, self._awake = self._awake, False
        try:
            self._awake = self._is_woken(was_awake)
        finally:
            if not self._awake:
                self._bus_lock.release()
        return self._awake

    def _is_woken(self, was_awake: bool) -> bool:
        if was_awake and self._bus.write(self._address, _RESET):
            return True
        self._used = True
        if self._wakes():
            return True
        self._bus.write(self._address, _SLEEP)  # awake chips ignore the pulse
        return self._wakes()

    def _wakes(self) -> bool:
        answer = _wake_answer(self._bus, self._address) or self._answer_at_next()
        if not answer:
            time.sleep(_SELF_TEST_WAKE_SECONDS - _WAKE_SECONDS)
            answer = self._bus.read(self._address, len(WAKE_TOKEN)) or self._answer_at_next()
        if answer.startswith(SELF_TEST_FAILED):
            raise refusal("Wake", Status.SELF_TEST_ERROR)
        return answer == WAKE_TOKEN

    def _answer_at_next(self) -> bytes:
        """Return the wake answer of a chip that has moved to its next address, which is its own from now on."""
        if self._next is None:
            return b""
        answer = self._bus.read(self._next[0], len(WAKE_TOKEN))
        if answer == WAKE_TOKEN:
            self._address, self.url, _ = self._next
        return answer

    def _end(self, word_address: bytes) -> None:
        try:
            self._bus.write(self._address, word_address)  # a chip that is asleep already does not acknowledge
        finally:
            self._awake = False
            self._bus_lock.release()

    def _read_reply(self) -> bytes:
        first = self._bus.read(self._address, 1)
        if not first:
            raise self._no_reply("does not acknowledge a read")
        if not _SHORTEST_REPLY <= first[0] <= _LONGEST_REPLY:
            raise ProtocolError(
                f"The chip at {self.url} announced a reply of {first[0]} bytes.",
                advice="Check the contact of the board in its fixture and try again.",
                code=Code.BAD_PACKET,
            )
        return first + self._bus.read(self._address, first[0] - 1)

    def _no_reply(self, what: str) -> TransportError:
        return TransportError(
            f"The chip at {self.url} {what}.",
            advice="Check that the board sits in its fixture and has power, that the address is right, and that the"
            " bus runs at 100 kHz or less.",
            code=Code.DEVICE_NO_REPLY,
        )
