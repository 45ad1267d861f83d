"""P2 of Read and Write: where in the zones an access begins, and whether it fits."""

from __future__ import annotations

from typing import Final, NamedTuple

from atcaprov.chip.commands import P1_32_BYTES, Zone
from atcaprov.chip.memory_map import BLOCK_SIZE, CONFIG_SIZE, OTP_SIZE, SLOT_SIZES, WORD_SIZE
from atcaprov.emulator.core import Core
from atcaprov.emulator.refusal import Refusal, illegal

_SLOT_TOO_HIGH: Final = 0x80
ZONE_BITS: Final = 0x03


class Address(NamedTuple):
    """An access of `size` bytes from `offset`, in `slot` or, if that is None, in the configuration or OTP zone."""

    slot: int | None
    offset: int
    size: int


def check_address(p1: int, p2: int) -> None:
    """Refuse (03) zone 3 and slots above 15."""
    zone = p1 & ZONE_BITS
    if zone > Zone.DATA:
        raise illegal("zone 3 does not exist")
    if zone == Zone.DATA and p2 & _SLOT_TOO_HIGH:
        raise illegal("slots end at 15")


def locate(core: Core, p1: int, p2: int) -> Address:
    """Return the place that P1 and P2 name; refuse one outside the zone or slot.

    A 32-byte access ignores the word field, and may name the last, partial block of a slot: excess bytes of a
    Write are dropped, missing bytes of a Read are filled up (DS20005927A sections 9.1.4, 9.16).
    """
    zone = p1 & ZONE_BITS
    slot = p2 >> 3 & 0x0F if zone == Zone.DATA else None
    block = p2 >> 8 if zone == Zone.DATA else p2 >> 3
    room = SLOT_SIZES[slot] if slot is not None else CONFIG_SIZE if zone == Zone.CONFIG else OTP_SIZE
    wide = bool(p1 & P1_32_BYTES)
    offset = block * BLOCK_SIZE + (0 if wide else (p2 & 0x07) * WORD_SIZE)
    count = BLOCK_SIZE if wide else WORD_SIZE
    if offset >= room or (not wide and offset + count > room):
        raise Refusal(core.open_points.bad_block_code, "the block or word is outside the zone or slot", slot=slot)
    return Address(slot, offset, count)
