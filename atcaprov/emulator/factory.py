"""Blank chips."""

from __future__ import annotations

from atcaprov.emulator.images import BLANK, load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.random_source import SystemRandom


def blank_608a(serial: bytes) -> Memory:
    """Return the memory of a blank ATECC608A with this 9-byte serial number."""
    return load_image(BLANK).make(SystemRandom(), serial)
