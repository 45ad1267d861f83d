"""A chip at an I2C bus: wake pulse, word addresses, polling. `I2cBus` carries the transfers.

Sequence and times are those of the part (DS20005927A, section 7): a command is word address 03 and the packet; until
it has ended the chip does not acknowledge; word address 00 sets the read pointer back; the count is read first, then
the rest.
"""

from __future__ import annotations

import re
import time
from typing import Final

from atcaprov.chip.commands import SELF_TEST_FAILED, WAKE_TOKEN, Status
from atcaprov.chip.status_errors import refusal
from atcaprov.errors import Code, DeviceError, ProtocolError, TransportError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.bus_lock import BusLock
from atcaprov.hal.device_url import parse_7_bit_address, parse_target
from atcaprov.hal.errors import address_taken
from atcaprov.hal.i2c.bus import SELF_TEST_WAKE_SECONDS, WAKE_SECONDS, I2cBus, wake_answer
from atcaprov.hal.i2c.linux_bus import open_bus

SCHEME: Final = "i2c"
_BUS_NUMBER: Final = re.compile(r"[0-9]{1,20}")
_RESET: Final = b"\x00"
_SLEEP: Final = b"\x01"
_IDLE: Final = b"\x02"
_COMMAND: Final = b"\x03"
_POLL_SECONDS: Final = 0.001
_SHORTEST_REPLY: Final = 4
_LONGEST_REPLY: Final = 155
COMMAND_SECONDS: Final = 4.0
BUSY_SECONDS: Final = 0.7
"""How long a chip may be busy with the command of a killed program: the watchdog ends it (DS20005927A, table of the
wake and sleep times)."""
_BUSY_POLL_SECONDS: Final = 0.05
LOCK_SECONDS: Final = 5.0
"""How long to wait for another program that uses the bus: longer than one command takes."""


class I2cHal(Hal):
    """One chip at a 7-bit address.

    The bus is locked against other programs from wake to idle or sleep, and the chip for as long as it is open: the
    wake pulse reaches every chip of a bus, and one chip cannot serve two programs.
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
                self._bus_lock.acquire(LOCK_SECONDS)  # its self test failed, and it is awake nevertheless
            self._used = False
        self._end(_SLEEP)

    def exchange(self, packet: bytes) -> bytes:
        """Send one packet and return its reply.

        Raises:
            TransportError: the chip does not acknowledge, or not in time; the bus failed.
            ProtocolError: the reply's count cannot be right (code BAD_PACKET).
        """
        try:
            return self._exchange(packet)
        except BaseException:
            self._awake = False  # the next wake finds out the chip's state
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
        """Send the wake pulse and read the address; our own chip ignores the pulse if it is awake."""
        if self._awake:
            return bool(wake_answer(self._bus, address))
        with self._bus_lock.held(LOCK_SECONDS):
            return bool(wake_answer(self._bus, address))

    def close(self) -> None:
        """Send the chip to sleep if it may be awake or idle, and release it."""
        try:
            if self._used:
                self.sleep()
        except TransportError:
            pass  # it is gone: no chip is left to put to sleep
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
        answer = wake_answer(self._bus, self._address) or self._answer_at_next()
        if not answer:
            time.sleep(SELF_TEST_WAKE_SECONDS - WAKE_SECONDS)
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


def open_i2c(rest: str, bus: I2cBus | None = None, *, seconds: float = COMMAND_SECONDS) -> I2cHal:
    """Open the chip that the part of the URL behind `i2c:` names: bus number and 7-bit address, such as `//1/0x60`.

    `bus` replaces the bus in tests. The chip is woken once, so that a missing one is reported at once.

    Raises:
        UsageError: the URL has another form, or the system has no such buses.
        TransportError: the bus does not exist or cannot be opened, no chip answers at the address, or the vendor's
            library is missing.
    """
    number, address = parse_bus_and_address(rest)
    locks = BusLock(f"i2c-{number}"), BusLock(f"i2c-{number}-{address:02x}")
    hal = I2cHal(
        bus or open_bus(number),
        address,
        url=chip_url(number, address),
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


def chip_url(number: int, address: int) -> str:
    """Return the device URL of the chip at a 7-bit address of a bus."""
    return f"{SCHEME}://{number}/0x{address:02x}"


def parse_bus_and_address(rest: str) -> tuple[int, int]:
    """Parse what follows `i2c:`: bus number and 7-bit address.

    Raises:
        UsageError: it has another form.
    """
    target = parse_target(SCHEME, rest)
    bus, _, address = target.name.partition("/")
    if not _BUS_NUMBER.fullmatch(bus) or not address:
        raise UsageError(
            f"'{SCHEME}:{rest}' does not name a bus and an address.",
            advice="Write i2c://1/0x60: bus 1, 7-bit address 0x60.",
        )
    return int(bus), parse_7_bit_address(address)
