"""One board of chips at a line port."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from atcaprov.errors import Code, DeviceError, ProtocolError, TransportError
from atcaprov.hal.errors import silent
from atcaprov.hal.kit.dialogue import KitDialogue
from atcaprov.hal.kit.line_port import GREETINGS, ClosingPort, KitTimeouts, LinePort
from atcaprov.kit_protocol import host
from atcaprov.kit_protocol.device_table import DeviceEntry, DeviceTable, converse, scan

_QUESTIONS: Final = 3
"""How often a board is asked how it talks; after that, noise or silence counts as an answer."""


class KitBoard:
    """Drives all chips of one board; methods may be called from any thread, one request runs at a time.

    An idle chip ignores sleep, and would keep its authorizations: where talk leaves it idle, it is woken first,
    for which a firmware has to leave its atomic mode. Where the board has other chips, or may have, each wake selects
    the chip again, since a restarted board has forgotten its selection.
    """

    def __init__(self, port: LinePort, limits: KitTimeouts | None = None) -> None:
        self.url = port.url
        self._port = ClosingPort(port)
        self._limits = limits or KitTimeouts()
        self._dialogue = KitDialogue(self._port, self._limits)
        self._lock = threading.RLock()
        self._only_address: int | None = None
        self._talk: host.Talk | None = None

    def greet(self) -> str:
        """Wait for the board to answer for the first time; return its name, which may be empty.

        Raises:
            TransportError: it is silent.
        """
        with self._lock:
            for _ in range(GREETINGS):
                try:
                    name = self._dialogue.ask(host.VERSION, self._limits.greeting, host.describe)
                except TransportError as error:
                    if error.code != Code.DEVICE_NO_REPLY:
                        raise
                else:
                    # It may answer an earlier greeting, or the last request of a program that was killed.
                    self._dialogue.in_step = False
                    with suppress(TransportError, ProtocolError):  # the next request tries once more, and tells
                        self._come_into_step()
                        self._try(host.SLEEP, host.check_done)  # getting into step has woken it, and no one uses it yet
                    return name
        raise silent(self.url, GREETINGS * self._limits.greeting)

    def scan(self) -> tuple[DeviceEntry, ...]:
        """Return the ATECC chips of the board's device table; see `table`."""
        return self.table().chips

    def table(self) -> DeviceTable:
        """Return the ATECC chips that the board knows, and whether the list is complete.

        Raises:
            TransportError: the board is silent, or did not list its chips in time.
            ProtocolError: its answers neither name a chip nor say that there is none.
        """
        with self._lock, self._dialogue.within(self._limits.scan):
            if not self._dialogue.in_step:
                self._come_into_step()
            table = converse(scan(), lambda line: self._dialogue.ask(line, self._limits.control, bytes))
            self._only_address = table.chips[0].address if table.is_whole and len(table.chips) == 1 else None
            return DeviceTable(tuple(entry for entry in table.chips if entry.is_atecc), table.is_whole)

    def wake(self, address: int) -> None:
        """Wake a chip; one that another program left awake is put to sleep first."""
        with self._lock:
            self._select(address, force=True)
            try:
                self._control(host.WAKE, host.check_awake)
            except TransportError:
                if not self._dialogue.in_step:
                    raise
                self._try(host.SLEEP, host.check_done)
                self._control(host.WAKE, host.check_awake)

    def idle(self, address: int) -> None:
        """Send a chip to idle."""
        with self._lock:
            self._select(address)
            self._control(host.IDLE, host.check_done)

    def sleep(self, address: int, *, is_idle: bool = False) -> None:
        """Send a chip to sleep, one that is idle after waking it; a board that is silent is given up soon."""
        with self._lock, self._dialogue.within(self._limits.sleep):
            self._select(address, force=True)
            if self._talk is host.Talk.ATOMIC:
                self._sleep_outside_atomic_mode()
            else:
                if is_idle or self._talk is host.Talk.WHOLE:
                    self._try(host.WAKE, host.check_awake)
                self._try(host.SLEEP, host.check_done)

    def talk(self, address: int, packet: bytes) -> bytes:
        """Return the chip's reply to a packet."""
        with self._lock:
            self._select(address, force=self._talk is not host.Talk.PLAIN)  # other firmwares wake the chip themselves
            return self._dialogue.ask(host.talk(packet), self._limits.talk, host.chip_reply)

    def is_in_step(self) -> bool:
        """Tell whether the last request got a clean answer, an error included."""
        with self._lock:
            return self._dialogue.in_step

    def is_there(self) -> bool:
        """Tell whether the port still works, without a request to the board; a lost port is closed."""
        with self._lock, suppress(TransportError):
            self._port.drain()
        return not self._port.is_lost

    def close(self) -> None:
        """Discard what the board still sends, and close the port."""
        with self._lock:
            try:
                self._port.drain()
            except TransportError:
                pass
            finally:
                self._port.close()

    def _come_into_step(self) -> None:
        """Synchronize with a board that may have no chip."""
        try:
            self._dialogue.select(host.DEFAULT_ADDRESS)
        except TransportError:
            if not self._dialogue.in_step:
                raise

    def _select(self, address: int, *, force: bool = False) -> None:
        self._dialogue.select(address, force=force and address != self._only_address)
        if self._talk is None:
            self._talk = self._learn_talk(address)
            self._dialogue.select(address)

    def _learn_talk(self, address: int) -> host.Talk:
        """Ask for the atomic mode, which is on at a board's start, to learn the kind of firmware from its answer."""
        for _ in range(_QUESTIONS):
            self._dialogue.select(address)
            with suppress(TransportError, ProtocolError):
                return self._dialogue.ask(host.ATOMIC_ON, self._limits.control, host.kind_of_talk)
        return host.Talk.WHOLE

    def _sleep_outside_atomic_mode(self) -> None:
        try:
            self._try(host.ATOMIC_OFF, host.check_done)
            self._try(host.WAKE, host.check_awake)
            self._try(host.SLEEP, host.check_done)
        except BaseException:
            with suppress(TransportError):
                self._dialogue.send(host.ATOMIC_ON)
            raise
        self._try(host.ATOMIC_ON, host.check_done)

    def _try(self, request: bytes, judge: Callable[[bytes], Any]) -> None:
        """Ask for what the chip may have done already: an error that the board reports is accepted, silence is not."""
        try:
            self._control(request, judge)
        except (TransportError, DeviceError):
            if not self._dialogue.in_step:
                raise

    def _control(self, request: bytes, judge: Callable[[bytes], Any]) -> None:
        self._dialogue.ask(request, self._limits.control, judge)
