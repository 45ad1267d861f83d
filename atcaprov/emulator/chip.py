"""The chip on the bus: power, wake, idle, sleep, watchdog, and one reply to each packet while it is awake.

Its durations and clocks are in `timing`. A virtual clock jumps over every wait. It may add up maximum times, which a
real chip never takes one after another: the watchdog then counts typical times, so that what works on a chip works.
"""

from __future__ import annotations

import enum
from typing import Final, Protocol

from atcaprov.chip.commands import WAKE_TOKEN, Opcode, Status
from atcaprov.chip.crc import with_crc
from atcaprov.chip.execution_times import Times
from atcaprov.chip.memory_map import CHIP_MODE, I2C_ADDRESS, USER_EXTRA_ADD
from atcaprov.emulator import dispatch
from atcaprov.emulator.command import CommandSpec
from atcaprov.emulator.commands.self_test import power_on_failures
from atcaprov.emulator.core import Core
from atcaprov.emulator.faults import Fault, FaultKind, FaultPlan, cut_short, distort
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.io_buffer import IoBuffer
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import RandomSource, SystemRandom
from atcaprov.emulator.refusal import Refusal
from atcaprov.emulator.timing import Clock, VirtualClock, execution_times, wake_seconds, watchdog_seconds
from atcaprov.emulator.volatile import Powered, Volatile

SELF_TEST_TOKEN: Final = bytes.fromhex("0407c440")
"""The wake answer after a failed power-on self test (a constant of cryptoauthlib)."""
_ADDRESS_IN_85: Final = 0x01
_FOREVER: Final = float("inf")


class Power(enum.Enum):
    """Whether the chip is off, asleep, idle or awake."""

    OFF = "off"
    ASLEEP = "asleep"
    IDLE = "idle"
    AWAKE = "awake"


class Keeper(Protocol):
    """Keeps the memory when the process ends."""

    def keep(self, memory: Memory) -> None:
        """Store the memory if it has changed; when this returns, the change survives."""


class Forgetful:
    """The keeper of a chip that lives in memory only."""

    __slots__ = ()

    def keep(self, memory: Memory) -> None:
        """Store nothing."""


class Chip:
    """One software chip, powered and asleep at first. Not thread-safe, as a bus carries one packet at a time.

    `memory` defaults to a blank ATECC608A with a serial number of its own. `last_refusal` says why the last command
    was refused, or is None if it was not. `faults` is the plan of what goes wrong; None: nothing does.
    """

    __slots__ = (
        "_fault",
        "_ready_at",
        "_sleep_at",
        "clock",
        "core",
        "faults",
        "i2c_address",
        "io",
        "keeper",
        "last_refusal",
        "power",
        "times",
    )

    def __init__(
        self,
        memory: Memory | None = None,
        *,
        random_source: RandomSource | None = None,
        open_points: OpenPoints | None = None,
        keeper: Keeper | None = None,
        clock: Clock | None = None,
        faults: FaultPlan | None = None,
        times: Times = Times.MAXIMUM,
    ) -> None:
        source = random_source or SystemRandom()
        self.core = Core(memory or load_image(BLANK).make(source), source, open_points or OpenPoints())
        self.keeper: Keeper = keeper or Forgetful()
        self.clock = clock or VirtualClock()
        self.faults = faults
        self.times = times
        self.last_refusal: Refusal | None = None
        self.power = Power.OFF
        self.io = IoBuffer()
        self._fault: Fault | None = None
        self._ready_at = self._sleep_at = 0.0
        self.power_on()

    @property
    def memory(self) -> Memory:
        """The EEPROM."""
        return self.core.memory

    # Power

    def power_on(self) -> None:
        """Switch the supply on: the chip sleeps."""
        if self.power is Power.OFF:
            self._fall_asleep()

    def power_off(self) -> None:
        """Switch the supply off: only the memory stays."""
        self.power = Power.OFF
        failing = self.core.powered.failing_tests
        self.core.powered = Powered(failing_tests=failing)
        self._forget()

    def power_cycle(self) -> None:
        """Switch the supply off and on again."""
        self.power_off()
        self.power_on()

    def wake(self) -> bytes:
        """Send the wake token; return the wake answer, or b"" if the chip is awake already or has no power."""
        if not self.wake_pulse():
            return b""
        self.clock.wait_until(self._ready_at)
        return self.io.output

    def wake_pulse(self) -> bool:
        """Send the wake token without waiting for the answer, which can be read later; return whether the chip woke."""
        self._watch()
        if self.power in (Power.AWAKE, Power.OFF):
            return False
        self.power = Power.AWAKE
        self.core.powered.self_test_failed = power_on_failures(self.core)
        self._ready_at = self.clock.now() + wake_seconds(self.core, self.times)
        self._sleep_at = self._ready_at + watchdog_seconds(self.memory)
        self.io.answer(SELF_TEST_TOKEN if self.core.powered.self_test_failed else WAKE_TOKEN)
        return True

    def idle(self) -> None:
        """Go to idle: keep the volatile state, and stop the watchdog."""
        if self.listens():
            self.power = Power.IDLE

    def sleep(self) -> None:
        """Go to sleep: lose the volatile state."""
        if self.listens():
            self._fall_asleep()

    def listens(self) -> bool:
        """Return whether the chip acknowledges its address: awake, and no command is running."""
        self._watch()
        return self.power is Power.AWAKE and self._ready_at != _FOREVER and self.clock.reached(self._ready_at)

    # Packets

    def exchange(self, packet: bytes) -> bytes:
        """Run one command packet, wait for it, and return its reply: count, data, CRC; empty if there is none.

        The bytes are taken as from one write on an I2C bus: an incomplete packet gets no reply and waits for the rest;
        bytes after its count are ignored.
        """
        if not self.send(packet) or self._ready_at == _FOREVER:
            return b""
        self.clock.wait_until(self._ready_at)
        self._watch()
        return self.io.output if self.power is Power.AWAKE else b""

    def send(self, packet: bytes) -> bool:
        """Take bytes of a command in one write and run it if it is complete; return whether the chip acknowledged."""
        if not self.listens():
            return False
        if self.faults is None and self.io.take_whole(packet):
            self.run(packet)
            return True
        self.io.reread()
        acknowledged = self.take(packet)
        if not self.io.is_whole:
            return acknowledged
        self.run(self.io.hand_over())
        return True

    def take(self, data: bytes) -> bool:
        """Take bytes of a command; return whether the chip acknowledged all of them."""
        taken = self.io.take(data)
        if taken and self.io.is_whole:
            self._fault = self.faults.next(self.io.command) if self.faults else None
            if self._fault is not None and self._fault.kind is FaultKind.NO_ACKNOWLEDGE:
                self.io.answer(b"")
                return False
        return taken == len(data) or self.core.open_points.bytes_behind_count == "acknowledge"

    def begin(self) -> bytes:
        """Run the command if it is complete; return its packet, or b""."""
        if not self.io.is_whole or not self.listens():
            return b""
        packet = self.io.hand_over()
        self.run(packet)
        return packet

    def run(self, packet: bytes) -> None:
        """Run one packet; its reply can be read once its time has passed."""
        fault, self._fault = self._fault, None
        before = self.memory.image() if fault is not None and fault.kind.cuts_short else None
        body = self._reply_body(packet, fault)
        if before is not None and fault is not None:
            cut_short(self.core, fault, before, packet)
        self.keeper.keep(self.memory)
        if fault is not None:
            self._apply(fault)
        if self.core.volatile.paused:
            self.core.volatile.paused = False
            self.power = Power.IDLE
        if fault is not None and fault.kind is FaultKind.BROWN_OUT:
            self.wake_pulse()  # as the low level on the bus does: the reply to that wake is what the host reads
            return
        reply = with_crc(bytes((len(body) + 3,)) + body)
        self.io.answer(reply if fault is None else distort(reply, fault))

    def can_be_read(self) -> bool:
        """Return whether the chip acknowledges a read; while a command is incomplete, an open point decides."""
        if not self.listens():
            return False
        return not self.io.command or self.core.open_points.read_of_incomplete_command == "high"

    def receive(self, count: int) -> bytes | None:
        """Return the next `count` bytes of the output, FF beyond its end; None if the chip does not acknowledge."""
        return self.io.give(count) if self.can_be_read() else None

    def rewind(self) -> None:
        """Let the next `receive` begin at the output's first byte, and drop an incomplete command."""
        self.io.restart()

    # Inside

    def _reply_body(self, packet: bytes, fault: Fault | None) -> bytes:
        self.last_refusal = None
        try:
            if fault is not None and fault.kind.status is not None:
                raise Refusal(fault.kind.status, f"fault plan: {fault.kind}")
            return dispatch.run(self.core, packet, self._admit)
        except Refusal as refusal:
            self.last_refusal = refusal
            if self.times is Times.TYPICAL:
                quickly = execution_times(self.memory).typical[Opcode.INFO] / 1000
                self._ready_at = min(self._ready_at, self.clock.now() + quickly)
            return bytes((refusal.status,))

    def _admit(self, command: CommandSpec) -> None:
        """Set how long the command takes; refuse it (EE) if the watchdog would interrupt it."""
        now, table = self.clock.now(), execution_times(self.core.memory)
        taken = table.of(self.times)[command.opcode] / 1000
        needed = table.typical[command.opcode] / 1000 if self.clock.is_virtual else taken
        if now + needed > self._sleep_at and self.core.open_points.watchdog_margin == "execution-time":
            raise Refusal(Status.WATCHDOG, "the watchdog would interrupt the command")
        self._ready_at = now + taken
        self._sleep_at += taken - needed

    def _apply(self, fault: Fault) -> None:
        """Apply a fault after the command."""
        if fault.kind is FaultKind.STUCK:
            self._ready_at = _FOREVER
        elif fault.kind is FaultKind.WATCHDOG:
            self._fall_asleep()
        elif fault.kind.cuts_power:
            self.power_cycle()

    def _watch(self) -> None:
        """Fall asleep if the watchdog has run out."""
        if self.power is Power.AWAKE and self.clock.now() >= self._sleep_at and self._ready_at != _FOREVER:
            self._fall_asleep()

    def _fall_asleep(self) -> None:
        self.power = Power.ASLEEP
        self._forget()
        # A changed I2C address takes effect at sleep or power-up.
        config = self.memory.config
        moved = config[CHIP_MODE] & _ADDRESS_IN_85 and config[USER_EXTRA_ADD] and not self.memory.is_508
        self.i2c_address = config[USER_EXTRA_ADD if moved else I2C_ADDRESS] >> 1

    def _forget(self) -> None:
        self.core.volatile = Volatile()
        self._ready_at = 0.0
        self.io.answer(b"")
