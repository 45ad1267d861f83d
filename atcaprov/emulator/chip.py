"""The part on the bus: wake, idle, sleep, and one reply for each packet while it is awake."""

from __future__ import annotations

import enum
from typing import Protocol

from atcaprov.chip.commands import WAKE_TOKEN
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.command import Command
from atcaprov.emulator.core import Core
from atcaprov.emulator.dispatch import run
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import RandomSource, SystemRandom
from atcaprov.emulator.refusal import Refusal
from atcaprov.emulator.switches import Switches
from atcaprov.emulator.volatile import Powered, Volatile


class Power(enum.Enum):
    """Where the part stands between off and awake."""

    OFF = "off"
    ASLEEP = "asleep"
    IDLE = "idle"
    AWAKE = "awake"


class Keeper(Protocol):
    """Keeps the memory beyond the process."""

    def keep(self, memory: Memory) -> None:
        """Store the memory if it has changed; when this returns, the change survives."""


class _NoKeeper:
    __slots__ = ()

    def keep(self, memory: Memory) -> None:
        """Forget: the chip lives in memory only."""


class Chip:
    """One software chip, powered and asleep at first. Not for several threads at once: a bus carries one packet.

    `memory` defaults to a blank ATECC608A with a serial number of its own. `last_refusal` says why the last command
    was refused, or is None if it was not.
    """

    __slots__ = ("_keeper", "core", "last_refusal", "power")

    def __init__(
        self,
        memory: Memory | None = None,
        *,
        random_source: RandomSource | None = None,
        switches: Switches | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        source = random_source or SystemRandom()
        self.core = Core(memory or load_image(BLANK).make(source), source, switches or Switches())
        self._keeper: Keeper = keeper or _NoKeeper()
        self.power = Power.ASLEEP
        self.last_refusal: Refusal | None = None

    @property
    def memory(self) -> Memory:
        """The EEPROM."""
        return self.core.memory

    def wake(self) -> bytes:
        """Wake the chip; returns the wake answer, or nothing if it was awake already or has no power."""
        if self.power in (Power.AWAKE, Power.OFF):
            return b""
        self.power = Power.AWAKE
        return WAKE_TOKEN

    def idle(self) -> None:
        """Stop listening but keep the volatile state."""
        if self.power is Power.AWAKE:
            self.power = Power.IDLE

    def sleep(self) -> None:
        """Lose the volatile state; a chip that is idle or asleep does not listen."""
        if self.power is Power.AWAKE:
            self.power = Power.ASLEEP
            self.core.volatile = Volatile()

    def power_cycle(self) -> None:
        """Take the supply away and give it back: everything but the memory is lost."""
        self.power = Power.ASLEEP
        self.core.volatile = Volatile()
        self.core.powered = Powered()

    def exchange(self, packet: bytes) -> bytes:
        """Run one command packet and return its reply: count, data, CRC; empty if the chip does not listen."""
        if self.power is not Power.AWAKE:
            return b""
        body = self._run(packet)
        self._keeper.keep(self.core.memory)
        if self.core.volatile.paused:
            self.core.volatile.paused = False
            self.idle()
            return b""
        return with_crc(bytes((len(body) + 3,)) + body)

    def _run(self, packet: bytes) -> bytes:
        self.last_refusal = None
        try:
            return run(self.core, packet, self._admit)
        except Refusal as refusal:
            self.last_refusal = refusal
            return bytes((refusal.status,))

    def _admit(self, command: Command) -> None:
        """Let every legal command start; time is not measured here."""
