"""Slots of a locked data zone that their rules leave open: compare, write what differs, read it back."""

from __future__ import annotations

from collections.abc import Iterator

from atcaprov.chip.memory_map import BLOCK_SIZE, SLOT_COUNT, SLOT_SIZES, WORD_SIZE
from atcaprov.config_zone.slot import Slot
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.device import Device
from atcaprov.errors import Board, Code, ProvisioningError, UsageError

_EMPTY = (b"\x00", b"\xff")


class LockedDataZone:
    """The data zone of one chip, whose rules are in force since its data lock.

    `config` is its configuration zone, 128 bytes. A block is written only if it does not hold the data yet, so that
    nothing changes when a run is repeated, and a locked slot with the right content is accepted.
    """

    def __init__(self, device: Device, config: bytes) -> None:
        self._device = device
        self._slots = ConfigZone(config).slots

    def is_writable(self, slot: int) -> bool:
        """Return whether anyone may write the slot in clear: by its rule, and as it is not locked."""
        return self._slots[slot].clear_write and self._slots[slot].open

    def holds(self, slot: int, offset: int, data: bytes) -> bool:
        """Return whether the slot, which must be readable in clear, holds `data` at `offset`."""
        return self._device.read_slot(slot, offset, len(data)) == data

    def is_empty(self, slot: int) -> bool:
        """Return whether a slot that is readable in clear holds nothing: only 00, or only FF, in each block."""
        content = self._device.read_slot(slot, 0, SLOT_SIZES[slot])
        return all(_is_blank(piece) for _, piece in _pieces(0, content))

    def overwrites(self, slot: int, offset: int, data: bytes) -> bool:
        """Return whether writing `data` would replace something else than nothing in a slot that is readable."""
        content = self._device.read_slot(slot, offset, len(data))
        return any(
            not _is_blank(content[place - offset : place - offset + len(piece)])
            for place, piece in self._missing(slot, offset, data, content)
        )

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """Write `data`; `offset` is a multiple of 32, the rest of the last block becomes zero.

        Raises:
            UsageError: the slot takes no data in clear, or they do not fit (SLOT_NOT_ALLOWED, USAGE).
            ProvisioningError: the slot is locked with other content (SLOT_LOCKED), or does not hold what was written
                (WRITE_NOT_VERIFIED).
        """
        padded = self._padded(slot, offset, data)
        readable = self._slots[slot].clear_read
        missing = list(self._missing(slot, offset, padded) if readable else _pieces(offset, padded))
        for position, piece in missing:
            self._require_writable(self._slots[slot])
            self._write_piece(slot, position, piece)
        if missing and readable and not self.holds(slot, offset, padded):
            raise ProvisioningError(
                f"Slot {slot} reads back differently from what was written.",
                advice="It was not locked. Try again; if it happens twice, set the board aside.",
                code=Code.WRITE_NOT_VERIFIED,
            )

    def _missing(
        self, slot: int, offset: int, data: bytes, content: bytes | None = None
    ) -> Iterator[tuple[int, bytes]]:
        """Yield the pieces of `data` that a readable slot does not hold; `content` is what it holds, if known."""
        held = self._device.read_slot(slot, offset, len(data)) if content is None else content
        for place, piece in _pieces(offset, data):
            if held[place - offset : place - offset + len(piece)] != piece:
                yield place, piece

    def _padded(self, slot: int, offset: int, data: bytes) -> bytes:
        if not 0 <= slot < SLOT_COUNT or not self._slots[slot].clear_write:
            raise UsageError(
                f"Slot {slot} does not take data in clear: this part's configuration forbids it.",
                code=Code.SLOT_NOT_ALLOWED,
            )
        # Four bytes alone, as the end of a slot has them, can only be written to a slot that is not secret.
        size = SLOT_SIZES[slot]
        room = size if self._slots[slot].clear_read else size - size % BLOCK_SIZE
        if offset % BLOCK_SIZE or offset < 0 or not data or offset + len(data) > room:
            raise UsageError(
                f"{len(data)} bytes at offset {offset} do not fit slot {slot}, which takes {room}.",
                advice="An offset is a multiple of 32.",
            )
        return data.ljust(min(-(-len(data) // BLOCK_SIZE) * BLOCK_SIZE, room - offset), b"\0")

    def _require_writable(self, slot: Slot) -> None:
        if not slot.open:
            raise ProvisioningError(
                f"This run cannot write slot {slot.number}: locked one by one before.",
                advice="Nothing was written there. Find out which program locked it: only that can finish this chip.",
                code=Code.SLOT_LOCKED,
                board=Board.SET_ASIDE,
            )

    def _write_piece(self, slot: int, offset: int, piece: bytes) -> None:
        if len(piece) == BLOCK_SIZE:
            self._device.write_slot_block(slot, offset // BLOCK_SIZE, piece)
        else:
            self._device.write_slot_word(slot, offset // WORD_SIZE, piece)


def _is_blank(piece: bytes) -> bool:
    return piece[:1] in _EMPTY and piece == piece[:1] * len(piece)


def _pieces(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield offset and content of what one Write takes: blocks, and words where the slot's end cuts a block short.

    The data zone is locked, so a block of 32 bytes must lie in the slot (DS20005927A, 9.21, Write).
    """
    whole = len(data) - len(data) % BLOCK_SIZE
    for start in range(0, whole, BLOCK_SIZE):
        yield offset + start, data[start : start + BLOCK_SIZE]
    for start in range(whole, len(data), WORD_SIZE):
        yield offset + start, data[start : start + WORD_SIZE]
