"""Chips that are known by a number alone: configuration zone and serial number. Needs nothing but itself."""

from __future__ import annotations


def config_zone(number: int, *, locked: bool = True) -> bytes:
    """Return the configuration zone of the chip with the serial number 0123 0000 <number> EE."""
    zone = bytearray(128)
    zone[0:4] = bytes.fromhex("01230000")
    zone[8:13] = number.to_bytes(4, "big") + b"\xee"
    zone[87] = 0x00 if locked else 0x55
    return bytes(zone)


def chip_serial(number: int) -> bytes:
    return bytes.fromhex("01230000") + number.to_bytes(4, "big") + b"\xee"
