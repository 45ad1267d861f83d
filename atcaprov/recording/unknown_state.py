"""What a replay does not know of the chip: what masked bytes, or commands without a seen end, left in it."""

from __future__ import annotations

from typing import Final

from atcaprov.chip.commands import GEN_KEY_CREATE, LOCK_NO_CRC, LOCK_SLOT, P1_ENCRYPTED, Opcode, Status, Zone
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import SLOT_COUNT, SLOT_SIZES
from atcaprov.emulator.memory import SLOT_STARTS
from atcaprov.recording.initial_memory import Place, places

_STATELESS: Final = frozenset(
    {
        Opcode.COUNTER,
        Opcode.INFO,
        Opcode.LOCK,
        Opcode.RANDOM,
        Opcode.READ,
        Opcode.UPDATE_EXTRA,
        Opcode.WRITE,
    }
)
"""Commands that neither use nor leave volatile state, unless they are encrypted."""
_STATUS_REPLY: Final = 4


class UnknownState:
    """The places whose bytes are unknown, and whether the volatile state is unknown; at first all is known."""

    def __init__(self) -> None:
        self._places: set[Place] = set()
        self._state = False

    def slept(self) -> None:
        """Note that the chip slept: its volatile state is empty."""
        self._state = False

    def pass_over(self, header: bytes, got: str) -> None:
        """Note a command that cannot be repeated: its first 5 bytes, its reply in hexadecimal or ""."""
        self._state |= _uses_state(header)
        if got[2:4] in ("", f"{Status.SUCCESS:02x}"):
            self._places.update(_changed(header))

    def settle(self, packet: bytes) -> None:
        """Note a command that ended as in the trace: what it has written is known again."""
        if len(packet) >= 7 and packet[1] == Opcode.WRITE and not packet[2] & P1_ENCRYPTED:
            self._places.difference_update(places(packet))

    def decides(self, packet: bytes) -> bool:
        """Return whether the reply to a command depends, or may depend, on what is unknown."""
        if len(packet) < 7:
            return False
        if packet[1] == Opcode.READ and not self._places.isdisjoint(places(packet)):
            return True
        if self._state and _uses_state(packet):
            return True
        return packet[1] not in _STATELESS and not self._places.isdisjoint(_slot(packet[3]))

    def lock_without_crc(self, packet: bytes) -> bytes:
        """Return a Lock of a zone with unknown bytes without its CRC, which would not fit; other packets unchanged."""
        is_zone_lock = len(packet) >= 7 and packet[1] == Opcode.LOCK and packet[2] & 0x03 != LOCK_SLOT
        if not is_zone_lock or not self._places:
            return packet
        return with_crc(packet[:2] + bytes((packet[2] | LOCK_NO_CRC, 0, 0)))


def _changed(header: bytes) -> set[Place]:
    """Return the places that a command may have changed."""
    if header[1] == Opcode.WRITE:
        return set(places(header))
    creates_key = header[1] == Opcode.GEN_KEY and header[2] & GEN_KEY_CREATE
    if creates_key or header[1] in (Opcode.PRIV_WRITE, Opcode.DERIVE_KEY, Opcode.ECDH, Opcode.KDF, Opcode.VERIFY):
        return _slot(header[3])
    return set()


def _slot(slot: int) -> set[Place]:
    if slot >= SLOT_COUNT:
        return set()
    start = SLOT_STARTS[slot]
    return {(Zone.DATA, offset) for offset in range(start, start + SLOT_SIZES[slot])}


def _uses_state(packet: bytes) -> bool:
    is_encrypted = packet[1] == Opcode.WRITE and bool(packet[2] & P1_ENCRYPTED)
    return packet[1] not in _STATELESS or is_encrypted
