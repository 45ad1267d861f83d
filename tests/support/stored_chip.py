"""A chip as far as it is read, for certificates whose private key nobody has here."""

from __future__ import annotations

from collections.abc import Mapping

from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.inspection.snapshot import ChipSnapshot
from tests.support.certificates import CHIP_SERIAL
from tests.support.chips import configured_memory

_PRIVATE = (0x2083, 0x0033)
_CLEAR = (0x0000, 0x001C)


def stored_chip(
    slots: Mapping[int, bytes],
    public_keys: Mapping[int, bytes],
    *,
    serial_number: bytes = CHIP_SERIAL,
    otp: bytes = b"\xff" * 64,
) -> ChipSnapshot:
    """Return what a locked chip shows: slots 0 to 4 are for private keys, the others can be read.

    What is not given of a slot is zero.
    """
    rules = {slot: _PRIVATE if slot < 5 else _CLEAR for slot in range(16)}
    config = bytes(configured_memory(slots=rules).config)
    config = serial_number[:4] + config[4:8] + serial_number[4:] + config[13:]
    contents = {slot: slots.get(slot, b"").ljust(SLOT_SIZES[slot], b"\0") for slot in range(5, 16)}
    keys = {slot: slot in public_keys for slot in range(5)}
    return ChipSnapshot("emulator:", bytes.fromhex("00006003"), config, otp, contents, keys, dict(public_keys))
