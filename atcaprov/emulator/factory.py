"""Chips as they leave the factory."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.memory_map import OTP_SIZE, REVISION_608A
from atcaprov.emulator.memory import DATA_SIZE, Memory
from atcaprov.emulator.random_source import RandomSource

SERIAL_START: Final = bytes.fromhex("0123")
SERIAL_END: Final = 0xEE
_BYTES_13_TO_15: Final = bytes.fromhex("c15500")
_BYTES_16_TO_127: Final = bytes.fromhex(
    "c0000000 83208720 8f20c48f 8f8f8f8f 9f8faf8f 00000000 00000000 00000000"
    "0000af8f ffffffff 00000000 ffffffff 00000000 00000000 00000000 00000000"
    "00000000 00005555 ffff0000 00000000 33003300 33001c00 1c001c00 1c001c00"
    "3c003c00 3c003c00 3c003c00 3c001c00"
)
"""Configuration of a factory-fresh ATECC608A (jmcpheron/picowallet UPSTREAM.md, read from a real part)."""


def new_serial(random_source: RandomSource) -> bytes:
    """Return a 9-byte serial number: 01 23, six bytes of its own, EE."""
    return SERIAL_START + random_source.take(6) + bytes([SERIAL_END])


def blank_608a(serial: bytes) -> Memory:
    """Return the memory of a blank ATECC608A: factory configuration, nothing locked, data and OTP all FF."""
    config = serial[:4] + REVISION_608A + serial[4:9] + _BYTES_13_TO_15 + _BYTES_16_TO_127
    return Memory(config, b"\xff" * OTP_SIZE, b"\xff" * DATA_SIZE)
