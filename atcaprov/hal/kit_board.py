"""One board of chips at a line port: keeps in step with its firmware, whatever comes."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from atcaprov.errors import Code, ProtocolError, TransportError
from atcaprov.hal.line_port import GREETINGS, Limits, LinePort
from atcaprov.hal.losable_port import LosablePort
from atcaprov.kit import host

Answer = TypeVar("Answer")
_STALE_LINES: Final = 32
"""Lines that are passed over while getting into step even when the time for it is up."""


class KitBoard:
    """Drives all chips of one board; methods may be called from any thread, one request runs at a time.

    The protocol numbers nothing, so a late answer would be taken for the next one. After anything but a clean answer
    the board is out of step, and the next request first gets into step again. No request is ever repeated: a lost
    answer is not a lost command.
    """

    def __init__(self, port: LinePort, limits: Limits | None = None) -> None:
        self.url = port.url
        self._plugged = LosablePort(port)
        self._port: LinePort = self._plugged
        self._limits = limits or Limits()
        self._lock = threading.RLock()
        self._selected: int | None = None
        self._in_step = True
        self._sent_whole = True

    def greet(self) -> str:
        """Wait for the board to answer for the first time; return what it calls itself, perhaps nothing.

        Raises:
            TransportError: it is silent.
        """
        with self._lock:
            for left in reversed(range(GREETINGS)):
                try:
                    name = self._ask(host.VERSION, self._limits.greeting, host.describe)
                except TransportError as error:
                    if error.code != Code.DEVICE_NO_REPLY or not left:
                        raise
                else:
                    break
            if left < GREETINGS - 1:
                self._in_step = False  # the answers to the first greetings may still come
            return name

    def scan(self) -> tuple[host.Entry, ...]:
        """Return all chips that the board knows of."""
        with self._lock:
            if not self._in_step:
                with suppress(TransportError):  # no chip at that address; silence shows up in the scan
                    self._get_into_step(host.DEFAULT_ADDRESS)
            return host.converse(host.scan(), lambda line: self._ask(line, self._limits.control, bytes))

    def wake(self, address: int) -> None:
        """Wake a chip; one that another program left awake is put to sleep first."""
        with self._lock:
            self._select(address)
            try:
                self._ask(host.WAKE, self._limits.control, host.check_awake)
            except TransportError:
                if not self._in_step:
                    raise
                self._put_to_sleep()
                self._ask(host.WAKE, self._limits.control, host.check_awake)

    def idle(self, address: int) -> None:
        """Send a chip to idle."""
        with self._lock:
            self._select(address)
            self._ask(host.IDLE, self._limits.control, host.check_done)

    def sleep(self, address: int) -> None:
        """Send a chip to sleep."""
        with self._lock:
            self._select(address)
            self._put_to_sleep()

    def talk(self, address: int, packet: bytes) -> bytes:
        """Return the chip's reply to a packet."""
        with self._lock:
            self._select(address)
            return self._ask(host.talk(packet), self._limits.talk, host.chip_reply)

    def is_in_step(self) -> bool:
        """Tell whether the last request got a clean answer, an error included."""
        with self._lock:
            return self._in_step

    def is_there(self) -> bool:
        """Tell whether the port still works; asks the board nothing. One that is gone is closed for good."""
        with self._lock, suppress(TransportError):
            self._port.drain()
        return not self._plugged.is_lost

    def close(self) -> None:
        """Throw away what the board still says and give the port back."""
        with self._lock:
            try:
                self._port.drain()
            except TransportError:
                pass
            finally:
                self._port.close()

    def _put_to_sleep(self) -> None:
        try:
            self._ask(host.SLEEP, self._limits.control, host.check_done)
        except TransportError:
            if not self._in_step:
                raise  # a chip that is asleep already may be reported as an error; silence is one

    def _select(self, address: int) -> None:
        if not self._in_step:
            self._get_into_step(address)
        if self._selected != address:
            self._selected = None
            self._ask(host.select(address), self._limits.control, host.check_done)
            self._selected = address

    def _ask(self, request: bytes, seconds: float, judge: Callable[[bytes], Answer]) -> Answer:
        self._in_step = False
        self._port.drain()
        self._send(request)
        line = self._port.receive(seconds)
        try:
            answer = judge(line)
        except TransportError:
            self._in_step = True  # the board's own report of an error is a clean answer
            raise
        self._in_step = True
        return answer

    def _send(self, request: bytes) -> None:
        self._sent_whole = False
        self._port.send(request)
        self._sent_whole = True

    def _get_into_step(self, address: int) -> None:
        """Ask two questions whose answers differ, so that a late answer to an earlier one can't pass for both."""
        deadline = time.monotonic() + self._limits.resync
        self._selected = None
        if not self._sent_whole:
            self._port.send(b"\n")  # ends what the board has of the line that was cut
        self._skip_to(host.WAKE, host.check_awake, deadline, is_answer=_is_any)
        self._skip_to(host.select(address), host.check_done, deadline, is_answer=_is_no_device)
        self._in_step = True
        self._selected = address

    def _skip_to(
        self,
        request: bytes,
        judge: Callable[[bytes], None],
        deadline: float,
        *,
        is_answer: Callable[[TransportError], bool],
    ) -> None:
        """Send a request and pass over lines up to its answer, which may be an error that `is_answer` recognises.

        Time is the bound, beyond the first lines: after a babble, what was still under way comes however much it is.
        """
        self._port.drain()
        self._send(request)
        for number in itertools.count():
            left = deadline - time.monotonic()
            if left <= 0 and number >= _STALE_LINES:
                break
            line = self._port.receive(max(0.0, left))
            try:
                judge(line)
            except ProtocolError:
                continue
            except TransportError as error:
                if not is_answer(error):
                    continue
            return
        raise TransportError(
            f"The board at {self.url} answers without order.",
            advice="Check that no other program uses it, and plug it in again.",
            code=Code.DEVICE_NO_REPLY,
        )


def _is_any(_error: TransportError) -> bool:
    return True


def _is_no_device(error: TransportError) -> bool:
    return error.code == Code.DEVICE_NOT_FOUND
