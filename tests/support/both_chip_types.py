"""The same chip as an ATECC508A and as an ATECC608A, and what both are asked in the tests of the public data sheet."""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

from atcaprov import SoftwareChip
from atcaprov.chip.commands import Opcode
from atcaprov.chip.memory_map import FIELDS_608, REVISION
from atcaprov.emulator.open_points import OpenPoints
from tests.support.chips import ChipReply, awake_chip, configured_memory, send

PART_508A: Final = "508A"
PART_608A: Final = "608A"
PARTS: Final = (PART_508A, PART_608A)
REVISION_508A: Final = bytes.fromhex("00005000")


def chip_of(part: str, open_points: OpenPoints | None = None, **memory: Any) -> SoftwareChip:
    """Return an awake chip of one part; `memory` is given to `configured_memory`."""
    made = configured_memory(**memory)
    if part == PART_508A:
        made.config[REVISION] = made.revision = REVISION_508A
        made.config[FIELDS_608] = b"\xff" * 16
    return awake_chip(made, open_points=open_points)


def check_mac(chip: SoftwareChip, slot: int, key: bytes, mode: int = 1) -> ChipReply:
    """Show the MAC of `slot` under `key` over TempKey, or over 32 zero bytes in modes 00 and 04."""
    serial = chip.memory.serial
    challenge = chip.core.temp_key.key if mode & 1 else bytes(32)
    message = key + challenge + bytes(15) + serial[8:] + bytes(4) + serial[:2] + bytes(2)
    return send(chip, Opcode.CHECK_MAC, mode, slot, bytes(32) + sha256(message).digest() + bytes(13))


def authorize(chip: SoftwareChip, slot: int, key: bytes) -> int:
    """Take a random nonce, show the MAC of `slot` under `key` over it, and return the status."""
    send(chip, Opcode.NONCE, 0, 0, bytes(20))
    return check_mac(chip, slot, key).status


def authorized_slot(chip: SoftwareChip) -> int | None:
    """Return the slot that is authorized now."""
    return chip.core.volatile.authorized
