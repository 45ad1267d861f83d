"""Chips that are served: made from an image or from state files, with their clock, wires and observer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from atcaprov.chip.commands import Opcode
from atcaprov.chip.execution_times import Times
from atcaprov.chip.memory_map import I2C_ADDRESS
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.faults import FaultPlan
from atcaprov.emulator.i2c_port import I2cPort
from atcaprov.emulator.images import Image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.state_file import StateFile
from atcaprov.emulator.timing import Clock, VirtualClock
from atcaprov.hal.emulated import file_lock

FIRST_ADDRESS: Final = 0x08
LAST_ADDRESS: Final = 0x77
"""7-bit addresses outside this range are reserved (I2C-bus specification UM10204, 3.1.12)."""
MOST_CHIPS: Final = LAST_ADDRESS - FIRST_ADDRESS + 1
Observer = Callable[[Chip, bytes], None]
"""Called after each command with the chip and the packet."""


def make_chips(
    image: Image,
    count: int = 1,
    *,
    state: Path | None = None,
    clock: Callable[[], Clock] = VirtualClock,
    times: Times = Times.MAXIMUM,
    faults: str = "",
) -> list[Chip]:
    """Return `count` chips (1 to 112), each with a serial number, a clock and a fault plan of its own.

    New chips get the image's I2C address, the next one, and so on: byte 16 of the configuration differs from the
    image. With `state`, chips are kept in that file, and from the second on in `FILE-2.json` and so on; a chip that
    has a file already is taken from it.

    Raises:
        UsageError: a state file is damaged or cannot be read or written, or the fault plan is invalid.
    """
    return [_make_chip(image, number, state, clock(), times, faults) for number in range(count)]


@contextmanager
def holding(state: Path | None, count: int) -> Iterator[None]:
    """Keep other programs away from the state files until the block ends.

    Raises:
        TransportError: another program uses one of them (DEVICE_BUSY).
    """
    files = [_numbered(state, number) for number in range(count)] if state else []
    with ExitStack() as held:
        for file in files:
            held.enter_context(file_lock(file).held(0))
        yield


def _make_chip(image: Image, number: int, state: Path | None, clock: Clock, times: Times, faults: str) -> Chip:
    plan = FaultPlan.from_toml(faults) if faults else None
    if state is None:
        return Chip(_new_memory(image, number), clock=clock, faults=plan, times=times)
    store = StateFile(_numbered(state, number))
    chip = Chip(store.load() or _new_memory(image, number), keeper=store, clock=clock, faults=plan, times=times)
    store.keep(chip.memory)
    return chip


def _new_memory(image: Image, number: int) -> Memory:
    memory = image.make(SystemRandom())
    address = (memory.config[I2C_ADDRESS] >> 1) - FIRST_ADDRESS + number
    if number:
        memory.config[I2C_ADDRESS] = FIRST_ADDRESS + address % MOST_CHIPS << 1
    return memory


def _numbered(state: Path, number: int) -> Path:
    return state.with_name(f"{state.stem}-{number + 1}{state.suffix}") if number else state


class ServedClock(Clock):
    """Real time at any speed, for one chip.

    Where a chip would wait, the clock runs ahead instead, so that the other chips of the process go on; `lag` says how
    long the client has to wait until real time has caught up.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._start = time.monotonic()
        self._ahead = 0.0

    def now(self) -> float:
        """Return the chip's time in seconds."""
        return max(self._real(), self._ahead)

    def reached(self, moment: float) -> bool:
        """Return whether `moment` lies behind."""
        return self.now() >= moment

    def wait_until(self, moment: float) -> None:
        """Run ahead to `moment`."""
        self._ahead = max(self._ahead, moment)

    def lag(self) -> float:
        """Return how many seconds of real time are left until it has caught up."""
        return max(0.0, self._ahead - self._real()) / self._speed

    def _real(self) -> float:
        return (time.monotonic() - self._start) * self._speed


def lag(clock: Clock) -> float:
    """Return the lag of a served clock; a virtual clock has none."""
    return clock.lag() if isinstance(clock, ServedClock) else 0.0


class ServedChip:
    """A chip with its two wires; `observer` is called after each command."""

    def __init__(self, chip: Chip, observer: Observer | None = None) -> None:
        self.chip = chip
        self.port = I2cPort(chip)
        self.reply = b""
        """What `exchange` returned last; a board's firmware sends it on request."""
        self._observer = observer

    @property
    def address(self) -> int:
        """8-bit address that the chip answers to."""
        return self.chip.i2c_address << 1

    def exchange(self, packet: bytes) -> bytes:
        """Run one command to its end and return the reply, which is due after `lag` seconds; empty if there is none."""
        self.reply = self.chip.exchange(packet)
        if packet and self.reply:
            self._tell(packet)
        return self.reply

    def lag(self) -> float:
        """Return the seconds of real time until the chip's last work is done."""
        return lag(self.chip.clock)

    def stop(self) -> None:
        """End a transfer on the wires, and begin with a command that is whole."""
        packet = self.port.stop()
        if packet:
            self._tell(packet)

    def _tell(self, packet: bytes) -> None:
        if self._observer is not None:
            self._observer(self.chip, packet)


def explaining(say: Callable[[str], None]) -> Observer:
    """Return an observer that says a line for each refusal: chip, address, command, status, rule, slot and bit."""

    def observe(chip: Chip, packet: bytes) -> None:
        if chip.last_refusal is not None:
            serial = chip.memory.serial.hex().upper()
            say(f"chip {serial} at {chip.i2c_address << 1:02X}: {_command(packet)} refused, {chip.last_refusal}")

    return observe


def _command(packet: bytes) -> str:
    if len(packet) < 5:
        return "a packet"
    try:
        name = "".join(part.capitalize() for part in Opcode(packet[1]).name.split("_"))
    except ValueError:
        name = f"opcode {packet[1]:02X}"
    return f"{name} (P1 {packet[2]:02X}, P2 {packet[4]:02X}{packet[3]:02X})"
