"""The software chip as a device: `emulator:` is a blank chip in memory, `emulator:chip.json` one that is kept."""

from __future__ import annotations

from pathlib import Path

from atcaprov.emulator.chip import Chip
from atcaprov.emulator.state_file import StateFile
from atcaprov.errors import Code, TransportError
from atcaprov.hal.base import Hal


class EmulatedHal(Hal):
    """One software chip in this process."""

    def __init__(self, chip: Chip, url: str) -> None:
        self.chip = chip
        self.url = url

    def wake(self) -> None:
        """Wake the chip."""
        self.chip.wake()

    def idle(self) -> None:
        """Send the chip to idle."""
        self.chip.idle()

    def sleep(self) -> None:
        """Send the chip to sleep."""
        self.chip.sleep()

    def exchange(self, packet: bytes) -> bytes:
        """Return the chip's reply.

        Raises:
            TransportError: the chip is asleep or idle (DEVICE_NO_REPLY).
        """
        reply = self.chip.exchange(packet)
        if not reply:
            raise TransportError(
                f"The chip {self.url} does not answer.", advice="Wake it first.", code=Code.DEVICE_NO_REPLY
            )
        return reply


def open_emulated(rest: str) -> EmulatedHal:
    """Open the chip that the part of the URL behind `emulator:` names: nothing, or the path of a state file.

    A file that does not exist is created with a blank chip. Every change is in the file before its reply is out.

    Raises:
        UsageError: the file is damaged, or cannot be read or written.
    """
    url = f"emulator:{rest}"
    if not rest:
        return EmulatedHal(Chip(), url)
    store = StateFile(Path(rest))
    chip = Chip(store.load(), keeper=store)
    store.keep(chip.memory)
    return EmulatedHal(chip, url)
