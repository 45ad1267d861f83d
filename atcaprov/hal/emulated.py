"""The software chip as a device.

`emulator:` is a blank ATECC608A in memory, `emulator:chip.json` one in a file. Options follow a
question mark: `emulator:?image=tngtls&clock=real`. A file is locked for as long as its chip is open: two programs with
one chip would each count by themselves what may be done only so often.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from atcaprov.bounded_reading import read_text
from atcaprov.chip.execution_times import Times
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.faults import FaultPlan
from atcaprov.emulator.images import BLANK, Image, load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import RandomSource, SystemRandom
from atcaprov.emulator.state_file import StateFile
from atcaprov.emulator.timing import Clock, RealClock, VirtualClock, parse_speed, parse_times
from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.bus_lock import BusLock

_OPTIONS: Final = ("image", "clock", "times", "faults")


class EmulatedHal(Hal):
    """One software chip in this process; `lock` keeps other programs away until `close`."""

    def __init__(self, chip: Chip, url: str, lock: BusLock | None = None) -> None:
        self.chip = chip
        self.url = url
        self._lock = lock
        self._woke_once = False

    def wake(self) -> None:
        """Wake the chip, the first time after putting it to sleep: its last user may have left it authorized."""
        self.chip.wake()
        if not self._woke_once:
            self.chip.sleep()
            self.chip.wake()
            self._woke_once = True

    def idle(self) -> None:
        """Send the chip to idle."""
        self.chip.idle()

    def sleep(self) -> None:
        """Send the chip to sleep; an idle one is woken first, since it ignores everything else."""
        self.chip.wake()
        self.chip.sleep()

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply.

        Raises:
            TransportError: the chip is asleep or idle (DEVICE_NO_REPLY).
        """
        reply = self.chip.exchange(packet)
        if not reply:
            raise TransportError(
                f"The chip {self.url} does not answer.", advice="Open the device again.", code=Code.DEVICE_NO_REPLY
            )
        return reply

    def close(self) -> None:
        """Release the chip."""
        if self._lock is not None:
            self._lock.release()


def file_lock(path: Path) -> BusLock:
    """Return the lock of a chip that is kept in a file."""
    return BusLock(os.path.realpath(path))  # links in a circle are for the store to refuse


class EmulatorUrl(NamedTuple):
    """The part of a URL that follows `emulator:`, see `open_emulated`; `file` is "" for a chip in memory."""

    file: str
    image: Image
    clock: Clock
    times: Times
    faults: FaultPlan | None


def parse_emulated(rest: str) -> EmulatorUrl:
    """Parse what follows `emulator:`.

    Raises:
        UsageError: an option is unknown, or names nothing that can be used.
    """
    name, _, query = rest.partition("?")
    if name.startswith("//"):  # part of other URLs, but here the path of another file
        path = f"/{name.lstrip('/')}" if name.startswith("///") else name.lstrip("/")
        raise UsageError(f"'emulator:{rest}' has slashes before the file.", advice=f"Write emulator:{path}.")
    options = _options(query)
    image = load_image(options.get("image", BLANK))
    speed = parse_speed(options.get("clock", "virtual"))
    clock = VirtualClock() if speed is None else RealClock(speed)
    times = parse_times(options.get("times", ""), speed)
    faults = _fault_plan(Path(options["faults"])) if "faults" in options else None
    return EmulatorUrl(name, image, clock, times, faults)


def open_emulated(rest: str) -> EmulatedHal:
    """Open the chip that the part of the URL behind `emulator:` names: `[FILE][?OPTION=VALUE[&OPTION=VALUE]]`.

    Options: `image` (what a new chip is), `clock` (`virtual`, `real`, or a number: so many times as fast), `times`
    (`typical` or `maximum`; else maximum on a virtual clock, typical on others), `faults` (a fault plan). A file that
    does not exist is created with a new chip; every change is in it before its reply is out.

    Raises:
        UsageError: an option is unknown, or a file is damaged or cannot be read or written.
        TransportError: another program has the chip of this file open (DEVICE_BUSY).
    """
    return _open(rest, _stored_chip)


def open_emulated_read_only(rest: str) -> EmulatedHal:
    """Open a chip as `open_emulated` does, but leave its file as it is: one that does not exist is not created.

    Raises:
        UsageError: an option is unknown, or a file is damaged or cannot be read.
        TransportError: another program has the chip of this file open (DEVICE_BUSY).
    """
    return _open(rest, _copied_chip)


def _open(rest: str, chip_of_file: Callable[[EmulatorUrl], Chip]) -> EmulatedHal:
    wanted = parse_emulated(rest)
    if not wanted.file:
        return EmulatedHal(_new_chip(wanted), f"emulator:{rest}")
    lock = file_lock(Path(wanted.file))
    lock.acquire()
    try:
        return EmulatedHal(chip_of_file(wanted), f"emulator:{rest}", lock)
    except BaseException:
        lock.release()
        raise


def _new_chip(wanted: EmulatorUrl) -> Chip:
    source = SystemRandom()
    return _chip(wanted, wanted.image.make(source), source)


def _stored_chip(wanted: EmulatorUrl) -> Chip:
    source, store = SystemRandom(), StateFile(Path(wanted.file))
    chip = _chip(wanted, store.load() or wanted.image.make(source), source, store)
    store.keep(chip.memory)
    return chip


def _copied_chip(wanted: EmulatorUrl) -> Chip:
    memory = StateFile(Path(wanted.file)).load()
    return _new_chip(wanted) if memory is None else _chip(wanted, memory, SystemRandom())


def _chip(wanted: EmulatorUrl, memory: Memory, source: RandomSource, store: StateFile | None = None) -> Chip:
    return Chip(
        memory, random_source=source, keeper=store, clock=wanted.clock, faults=wanted.faults, times=wanted.times
    )


def _options(query: str) -> dict[str, str]:
    if not query:
        return {}
    pairs = [text.partition("=") for text in query.split("&")]
    if any(name not in _OPTIONS or not value for name, _, value in pairs):
        known = ", ".join(f"{name}=..." for name in _OPTIONS)
        raise UsageError(f"'?{query}' is not an option of an emulator URL.", advice=f"Write one of: {known}.")
    return {name: value for name, _, value in pairs}


def _fault_plan(path: Path) -> FaultPlan:
    return FaultPlan.from_toml(read_text(path))
