"""Writes of open data to slots: whether the chip takes them and may lose what is there, the writes, their proof.

Rules of the chip: DS20005927A, 2.2.1 and 2.4. Before the data lock any slot for data takes whole blocks of 32 bytes,
and none can be read. After it SlotConfig decides, and a locked slot takes nothing in either state.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from atcaprov.certs.rebuild import SlotContent
from atcaprov.chip.memory_map import BLOCK_SIZE, SLOT_SIZES
from atcaprov.config_zone.slot import ReadRule, Slot
from atcaprov.device.command_guard import Act
from atcaprov.device.device import Device
from atcaprov.errors import Board, Code, ProvisioningError
from atcaprov.inspection.certificates.leftovers import certificates_by_slot
from atcaprov.inspection.snapshot import ChipSnapshot

_BLANK: Final = (b"\xff", b"\x00")
_ELSEWHERE: Final = (
    "Nothing was written. Give another slot with --slot, or keep the certificate in the firmware's flash:"
    " --out FILE without --slot and --definition writes the PEM."
)


@dataclass(frozen=True)
class SlotWrite:
    """Bytes that a slot is to hold, and the blocks that are still to be written for them."""

    content: SlotContent
    blocks: tuple[tuple[int, bytes], ...]
    """Block number and 32 bytes; nothing if the slot holds the bytes already."""

    @property
    def is_there(self) -> bool:
        """Whether the slot holds the bytes already."""
        return not self.blocks


def plan_writes(snapshot: ChipSnapshot, contents: Iterable[SlotContent], *, overwrite: bool) -> tuple[SlotWrite, ...]:
    """Return what is to be written so that the slots hold `contents`; nothing is sent.

    Raises ProvisioningError: slot-not-allowed when a slot does not take it or would not show it, slot-locked,
    slot-not-blank when something else is there, or may be, and `overwrite` is off.
    """
    images = dict(snapshot.slots)
    """What each slot will hold; of one that cannot be read only what is written before."""
    return tuple(_planned(snapshot, content, images, overwrite=overwrite) for content in contents)


def _planned(snapshot: ChipSnapshot, content: SlotContent, images: dict[int, bytes], *, overwrite: bool) -> SlotWrite:
    if snapshot.stored(content.slot, content.offset, len(content.data)) == content.data:
        return SlotWrite(content, ())  # whatever the slot takes now
    slot = snapshot.zone.slots[content.slot]
    require_data_slot(snapshot, slot)
    start, end = content.offset, content.offset + len(content.data)
    if end > slot.size:
        raise _not_allowed(f"Slot {slot.number} has {slot.size} bytes; {end} are needed.")
    before = images.get(slot.number)
    if before is None:
        _require_writable_unseen(snapshot, content, overwrite=overwrite)
    elif slot.number in snapshot.slots and not overwrite:
        _require_blank_or_ours(snapshot, before[start:end], content)
    image = before or bytes(slot.size)
    images[slot.number] = image = image[:start] + content.data + image[end:]
    blocks = tuple(enumerate(_blocks(image)))[start // BLOCK_SIZE : -(-end // BLOCK_SIZE)]
    there = tuple(_blocks(before)) if slot.number in snapshot.slots and before is not None else ()
    return SlotWrite(content, tuple((number, new) for number, new in blocks if not there or there[number] != new))


def require_data_slot(snapshot: ChipSnapshot, slot: Slot) -> None:
    """Raise ProvisioningError unless the chip takes open data for the slot now, and shows it after the data lock."""
    zone, number = snapshot.zone, slot.number
    if not zone.config_locked:
        raise ProvisioningError(
            "The configuration zone of this chip is not locked: until then the chip takes no data.",
            advice="Provision the chip first, or have its configuration locked by the program that made it.",
            board=Board.UNTOUCHED,
        )
    if slot.private:
        raise _not_allowed(f"Slot {number} is for a private key, which a certificate would destroy.")
    if slot.p256 and slot.key_config.pub_info:
        raise _not_allowed(f"Slot {number} is for a public key with PubInfo: the chip changes the first byte written.")
    if slot.slot_config.read is not ReadRule.CLEAR:
        raise _not_allowed(f"Slot {number} is secret (read: {slot.slot_config.read}); a certificate must be readable.")
    if not slot.open:
        raise ProvisioningError(
            f"Slot {number} is locked permanently.",
            advice=_ELSEWHERE,
            code=Code.SLOT_LOCKED,
            board=Board.UNTOUCHED,
        )
    if zone.data_locked and not slot.clear_write:
        raise _not_allowed(f"Slot {number} takes no open data after the data lock (write: {slot.slot_config.write}).")


def _require_writable_unseen(snapshot: ChipSnapshot, content: SlotContent, *, overwrite: bool) -> None:
    """Accept a write that cannot be compared: before the data lock the chip does not show what a slot holds."""
    if snapshot.zone.data_locked:
        raise _not_allowed(f"The chip does not show what slot {content.slot} holds.")
    if content.offset % BLOCK_SIZE:
        raise _not_allowed(
            f"Byte {content.offset} of slot {content.slot} does not begin a block, and the data zone is still open."
        )
    if not overwrite:
        raise _not_blank(f"The data zone is not locked yet, so nobody can read what slot {content.slot} holds now.")


def _blocks(data: bytes) -> Iterable[bytes]:
    return (data[start : start + BLOCK_SIZE].ljust(BLOCK_SIZE, b"\0") for start in range(0, len(data), BLOCK_SIZE))


def _require_blank_or_ours(snapshot: ChipSnapshot, there: bytes, content: SlotContent) -> None:
    """Accept what a cut import leaves: each block has its new content, or is blank."""
    first = BLOCK_SIZE - content.offset % BLOCK_SIZE
    bounds = [0, *range(first, len(there), BLOCK_SIZE), len(there)]
    for start, end in itertools.pairwise(bounds):
        part = there[start:end]
        if part != content.data[start:end] and part.strip(_BLANK[0]) and part.strip(_BLANK[1]):
            first_bytes = f"{there[:8].hex().upper()}... from byte {content.offset} on"
            held = certificates_by_slot(snapshot).get(content.slot, first_bytes)
            raise _not_blank(f"Slot {content.slot} is not blank: it holds {held}.")


def write_slots(device: Device, writes: Iterable[SlotWrite]) -> None:
    """Write what is planned: the only step that changes the chip, and it may change nothing but open data."""
    with device.permit(Act.WRITE_DATA), device.burst():
        for write in writes:
            for block, data in write.blocks:
                device.write_slot_block(write.content.slot, block, data)


def prove_writes(device: Device, writes: Iterable[SlotWrite]) -> None:
    """Read back what was written, in a chip whose data zone is locked.

    Raises:
        ProvisioningError: a slot holds something else (WRITE_NOT_VERIFIED).
    """
    for write in writes:
        content = write.content
        found = device.read_slot(content.slot, content.offset, len(content.data))
        if found != content.data:
            at = next(at for at, pair in enumerate(zip(found, content.data, strict=True)) if pair[0] != pair[1])
            raise ProvisioningError(
                f"Slot {content.slot} reads back differently at byte {content.offset + at}: "
                f"expected {content.data[at]:02X}, found {found[at]:02X}.",
                advice="Run the same command again; if it happens twice, set the board aside.",
                code=Code.WRITE_NOT_VERIFIED,
            )


def largest_open_slot(snapshot: ChipSnapshot) -> int | None:
    """Return the largest slot that takes open data now; None if there is none."""
    fitting = []
    for slot in snapshot.zone.slots:
        try:
            require_data_slot(snapshot, slot)
        except ProvisioningError:
            continue
        fitting.append(slot.number)
    return max(fitting, key=lambda number: SLOT_SIZES[number], default=None)


def _not_allowed(what: str) -> ProvisioningError:
    return ProvisioningError(
        what,
        advice=_ELSEWHERE,
        code=Code.SLOT_NOT_ALLOWED,
        board=Board.UNTOUCHED,
    )


def _not_blank(what: str) -> ProvisioningError:
    return ProvisioningError(
        what,
        advice="Nothing was written. If nothing there is needed, give --overwrite.",
        code=Code.SLOT_NOT_BLANK,
        board=Board.UNTOUCHED,
    )
