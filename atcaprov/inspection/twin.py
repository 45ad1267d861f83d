"""The twin of a real chip: a software chip that shows what the real one shows, and knows that it is not the real one.

It has the same configuration zone, OTP, readable slots and public keys. It has no private key of the chip and no
secret: commands that need one are refused (status 0F). Nothing of what it does reaches the real chip.
"""

from __future__ import annotations

from typing import Final

from atcaprov.chip.memory_map import OTP_SIZE, SLOT_COUNT
from atcaprov.config_zone.slot import Slot
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.memory import DATA_SIZE, Memory
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.slot import UNKNOWN, MemorySlot
from atcaprov.emulator.state_file import chip_file
from atcaprov.hal.emulated import EmulatedHal
from atcaprov.inspection.snapshot import ChipSnapshot

_BLANK: Final = b"\xff"
"""What the software chip's data and OTP zones hold before anything is written; that of a real chip is not published."""


def twin_file(snapshot: ChipSnapshot) -> bytes:
    """Return the content of a chip file that `emulator:FILE` opens as the twin of the chip in a snapshot."""
    return chip_file(twin_memory(snapshot))


def open_twin(snapshot: ChipSnapshot, *, fresh_keys: bool = False) -> EmulatedHal:
    """Return a software chip in memory that is the twin of the chip in a snapshot; see `twin_memory`."""
    return EmulatedHal(Chip(twin_memory(snapshot, fresh_keys=fresh_keys)), "emulator:")


def twin_memory(snapshot: ChipSnapshot, *, fresh_keys: bool = False) -> Memory:
    """Return the memory of a software chip that is the twin of the chip in a snapshot.

    Before the configuration lock nothing can have been written to data and OTP, so the twin is blank there. With
    `fresh_keys`, for a rehearsal, each private slot that holds a key gets a new one, so that the twin can sign; its
    public keys are then not those of the chip.
    """
    zone = snapshot.zone
    written = zone.config_locked
    otp = snapshot.otp or (UNKNOWN * (OTP_SIZE // len(UNKNOWN)) if written else _BLANK * OTP_SIZE)
    memory = Memory(snapshot.config, otp, _BLANK * DATA_SIZE, snapshot.revision, is_twin=True)
    for number in range(SLOT_COUNT) if written else ():
        _fill(MemorySlot(memory, number), zone.slots[number], snapshot, fresh_keys=fresh_keys)
    return memory


def _fill(slot: MemorySlot, configured: Slot, snapshot: ChipSnapshot, *, fresh_keys: bool) -> None:
    if configured.private and configured.p256:
        if snapshot.keys.get(slot.number):
            _fill_private(slot, snapshot.public_keys.get(slot.number), fresh_keys=fresh_keys)
    elif slot.number in snapshot.slots:
        slot.write(0, snapshot.slots[slot.number])
    else:
        slot.mark_unknown()


def _fill_private(slot: MemorySlot, public_key: bytes | None, *, fresh_keys: bool) -> None:
    if fresh_keys:
        scalar, _ = SystemRandom().key_pair()
        slot.store_private_key(scalar)
    else:
        slot.store_public_half(public_key)
