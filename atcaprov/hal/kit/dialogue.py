"""Requests to one board and its answers, kept in step even after lost, late or garbled lines."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from atcaprov.errors import Code, DeviceError, ProtocolError, TransportError
from atcaprov.hal.errors import silent
from atcaprov.hal.kit.line_port import KitTimeouts, LinePort
from atcaprov.kit_protocol import host

_LOG: Final = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Report = TransportError | DeviceError
"""An error that is the board's clean answer: its own, or the chip's."""
_STALE_LINES: Final = 32
"""Lines that are skipped while getting into step, even when the time for it is up."""


class KitDialogue:
    """Sends one request at a time; not thread-safe.

    The protocol numbers nothing, so a late answer would be taken for the next one. After anything but a clean answer
    the board is out of step, and the next request first gets into step again. No request is ever repeated: a lost
    answer is not a lost command.
    """

    def __init__(self, port: LinePort, limits: KitTimeouts) -> None:
        self.in_step = True
        self._port = port
        self._limits = limits
        self._selected: int | None = None
        self._sent_whole = True
        self._end = math.inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound the time of everything that is asked inside the block."""
        self._end = time.monotonic() + seconds
        try:
            yield
        finally:
            self._end = math.inf

    def ask(self, request: bytes, seconds: float, judge: Callable[[bytes], Answer]) -> Answer:
        """Send a request and return what `judge` makes of the answer.

        Raises:
            TransportError: the board was silent, its port is gone, or the time of `within` is up; or, still in step, it
                reports an error.
            DeviceError: in step: the chip reports one.
            ProtocolError: the answer belongs to no such request.
        """
        self.in_step = False
        left = self._left(seconds)
        if seconds and not left:
            raise self._without_order()
        self._port.drain()
        self.send(request)
        line = self._port.receive(left)
        try:
            answer = judge(line)
        except (TransportError, DeviceError):
            self.in_step = True
            raise
        self.in_step = True
        return answer

    def send(self, request: bytes) -> None:
        """Send a request without waiting for its answer: only while out of step, where the answer is skipped."""
        self._sent_whole = False
        self._port.send(request)
        self._sent_whole = True

    def select(self, address: int, *, force: bool = False) -> None:
        """Select a chip, in step; `force` sends the request although the chip should be selected already.

        Raises:
            TransportError: the board has no chip there (code DEVICE_NOT_FOUND), or could not be got into step.
        """
        if not self.in_step:
            self._get_into_step(address)
        elif force or self._selected != address:
            self._selected = None
            self.ask(host.select(address), self._limits.control, host.check_done)
            self._selected = address

    def _get_into_step(self, address: int) -> None:
        """Ask two questions whose answers differ, so that no late answer to an earlier one matches both.

        A board that refuses the address is in step as well, and keeps the chip that it had.
        """
        deadline = time.monotonic() + self._left(self._limits.resync)
        _LOG.debug("Synchronizing with the kit.")
        self._selected = None
        if not self._sent_whole:
            self._port.send(b"\n")  # ends the cut line in the board's buffer
        self._skip_to(host.WAKE, host.check_awake, deadline, is_answer=_is_any)
        refused = self._skip_to(host.select(address), host.check_done, deadline, is_answer=_is_no_device)
        self.in_step = True
        if refused is not None:
            raise refused
        self._selected = address

    def _skip_to(
        self,
        request: bytes,
        judge: Callable[[bytes], None],
        deadline: float,
        *,
        is_answer: Callable[[Report], bool],
    ) -> Report | None:
        """Send a request and skip lines up to its answer, which may be an error that `is_answer` accepts.

        Beyond the first lines, time is the limit: after a burst of garbage, any number of lines may still arrive.
        """
        self._port.drain()
        self.send(request)
        skipped = 0
        while True:
            line = self._next_line(skipped, deadline)
            skipped += 1
            try:
                judge(line)
            except ProtocolError:
                continue
            except (TransportError, DeviceError) as error:
                if not is_answer(error):
                    continue
                return error
            return None

    def _next_line(self, skipped: int, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0 and skipped >= _STALE_LINES:
            raise self._without_order()
        try:
            return self._port.receive(max(0.0, left))
        except TransportError as error:
            if error.code != Code.DEVICE_NO_REPLY:
                raise
            raise self._without_order() if skipped else silent(self._port.url, self._limits.resync) from error

    def _left(self, seconds: float) -> float:
        return max(0.0, min(seconds, self._end - time.monotonic()))

    def _without_order(self) -> TransportError:
        return TransportError(
            f"The board at {self._port.url} sends answers in the wrong order.",
            advice="Check that no other program uses it, and reconnect it.",
            code=Code.DEVICE_NO_REPLY,
        )


def _is_any(_error: Report) -> bool:
    return True


def _is_no_device(error: Report) -> bool:
    return error.code == Code.DEVICE_NOT_FOUND
