"""Say in words why a chip refused a command."""

from __future__ import annotations

from collections.abc import Callable

from atcaprov.chip.commands import Opcode
from atcaprov.emulator.chip import Chip
from atcaprov.serving.framing import Observer


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
