"""Wake and idle for the vendor's library, which asks for both around every command.

Over a kit each is a separate request: two of three. Inside a burst the chip stays awake between commands as long as
its watchdog allows, and idles at the end of the burst; `rest` puts it to sleep before a longer pause.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from atcaprov.chip.commands import MAX_EXECUTION_MS_M0, Opcode, Status
from atcaprov.device.command_guard import act_of
from atcaprov.device.replies import STATUS_REPLY_SIZE
from atcaprov.errors import Code, ProtocolError, TransportError
from atcaprov.hal.base import Hal

AWAKE_SECONDS: Final = 0.65
"""How long a chip is trusted to stay awake, commands at their maximum times: the watchdog's shortest time is 0.7 s
(DS20005927A, table of the wake and sleep times), and the rest is for the transfer to the chip. A chip with a slower
clock divider may refuse a command (status EE) before; it is then sent again."""
_EXECUTION_MS: Final[dict[int, int]] = {int(opcode): ms for opcode, ms in MAX_EXECUTION_MS_M0.items()}
_STATELESS: Final = frozenset(
    {Opcode.READ, Opcode.WRITE, Opcode.LOCK, Opcode.INFO, Opcode.GEN_KEY, Opcode.UPDATE_EXTRA}
)
"""Commands of a run that leave nothing in the volatile memory which a later one needs."""


class AwakeChip:
    """Passes the library's calls to a HAL, except those that a burst makes unnecessary."""

    def __init__(self, hal: Hal, now: Callable[[], float] = time.monotonic) -> None:
        self._hal = hal
        self._now = now
        self._bursts = 0
        self._lingers = False
        """Awake between two commands, though the library has asked for idle."""
        self._asleep = False
        """It was sent to sleep and not woken since."""
        self._holds_state = False
        """Its volatile memory may hold what a later command needs."""
        self._woken_at = 0.0
        self._busy = 0.0
        """Seconds that its commands since then take at most: virtual chips need less, real ones at most that."""
        self._fresh = False
        """It was woken, and no command has been sent since."""
        self._tired = False
        """It has refused a command because its watchdog's time was too short for it."""

    def begin_burst(self) -> None:
        """Leave the chip awake between commands until `end_burst`; bursts may lie in one another."""
        self._bursts += 1

    def end_burst(self) -> None:
        """Send the chip to idle if a burst has left it awake; if the chip is lost, the next command reports it."""
        self._bursts -= 1
        if self._lingers and not self._bursts:
            self._lingers = False
            with suppress(TransportError, ProtocolError):
                self._hal.idle()

    def wake(self) -> None:
        """Wake the chip, unless a burst has left it awake."""
        if self._lingers:
            self._lingers = False
        else:
            self._wake()

    def idle(self) -> None:
        """Send the chip to idle, or put that off to the end of the burst."""
        self._fresh = False
        self._lingers = self._bursts > 0 and not self._tired
        if not self._lingers:
            self._hal.idle()

    def sleep(self) -> None:
        """Send the chip to sleep, unless it sleeps already."""
        self._lingers = False
        if not self._asleep:
            self._hal.sleep()
            self._asleep, self._holds_state = True, False

    def rest(self) -> None:
        """Send the chip to sleep before a pause; if the chip is lost, the next command reports it."""
        with suppress(TransportError, ProtocolError):
            self.sleep()

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply; a chip whose time runs out gets new time first, its volatile state kept."""
        needed = _EXECUTION_MS.get(packet[1], 0) / 1000
        awake = max(self._busy, self._now() - self._woken_at)
        if not self._fresh and awake + needed > AWAKE_SECONDS:
            self._renew()
        reply = self._ask(packet)
        self._busy += needed
        self._tired = len(reply) == STATUS_REPLY_SIZE and reply[1] == Status.WATCHDOG
        return reply

    def _ask(self, packet: bytes) -> bytes:
        """Ask the chip; one that fell asleep unseen is woken and asked again if that changes nothing.

        An answer that is missing does not say whether the command was executed.
        """
        fresh, self._fresh = self._fresh, False
        self._holds_state |= packet[1] not in _STATELESS
        try:
            return self._hal.exchange(packet)
        except TransportError as error:
            if fresh or self._holds_state or act_of(packet) is not None or error.code != Code.DEVICE_NO_REPLY:
                raise
            with suppress(TransportError, ProtocolError):
                self._wake()
                return self._ask(packet)
            raise

    def _wake(self) -> None:
        self._woken_at, self._busy = self._now(), 0.0
        self._fresh, self._tired, self._asleep = True, False, False
        self._hal.wake()

    def _renew(self) -> None:
        with suppress(TransportError):
            self._hal.idle()  # the watchdog may have been quicker, and a chip that sleeps does not hear it
        self._wake()
