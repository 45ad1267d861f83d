"""The software chip as a device.

`emulator:` is a blank ATECC608A in memory, `emulator:chip.json` one that is kept in a file; `?image=NAME` behind it
makes a new chip another part of the family (`emulator:?image=tngtls`).
"""

from __future__ import annotations

from pathlib import Path

from atcaprov.emulator.chip import Chip
from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.state_file import StateFile
from atcaprov.errors import Code, TransportError, UsageError
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
        """Send the chip to sleep; an idle one is woken first, as it hears nothing else."""
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
                f"The chip {self.url} does not answer.", advice="Wake it first.", code=Code.DEVICE_NO_REPLY
            )
        return reply


def open_emulated(rest: str) -> EmulatedHal:
    """Open the chip that the part of the URL behind `emulator:` names: `[FILE][?image=NAME]`.

    A file that does not exist is created with a new chip. Every change is in the file before its reply is out.

    Raises:
        UsageError: the image is unknown, or the file is damaged, or cannot be read or written.
    """
    name, _, query = rest.partition("?")
    source = SystemRandom()
    image = load_image(_image_name(query))
    if not name:
        return EmulatedHal(Chip(image.make(source), random_source=source), f"emulator:{rest}")
    store = StateFile(Path(name))
    chip = Chip(store.load() or image.make(source), random_source=source, keeper=store)
    store.keep(chip.memory)
    return EmulatedHal(chip, f"emulator:{rest}")


def _image_name(query: str) -> str:
    if not query:
        return BLANK
    key, _, name = query.partition("=")
    if key != "image" or not name:
        raise UsageError(f"'?{query}' says nothing about an emulated chip.", advice="Write ?image=NAME.")
    return name
