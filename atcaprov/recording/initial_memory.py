"""The memory of a chip at the start of a recording, as far as the recording shows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from atcaprov.chip.commands import GEN_KEY_CREATE, P1_32_BYTES, Opcode, Status, Zone
from atcaprov.chip.memory_map import (
    BLOCK_SIZE,
    CONFIG_SIZE,
    COUNTERS,
    LOCK_CONFIG,
    LOCK_VALUE,
    OTP_SIZE,
    SLOT_COUNT,
    SLOT_LOCKED,
    SLOT_SIZES,
    USER_EXTRA,
    WORD_SIZE,
)
from atcaprov.chip.modes import BLOCK_SHIFT, SLOT_SHIFT, ZONE_BLOCK_SHIFT
from atcaprov.emulator.memory import SLOT_STARTS, Memory
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.emulator.slot import MemorySlot
from atcaprov.hal.tracing.masking import MASK
from atcaprov.hal.tracing.trace_file import TraceEvent

_HEADER: Final = 5
_STATUS_REPLY: Final = 4
_ASKS_REVISION: Final = bytes((Opcode.INFO, 0))
_REVISION_REPLY: Final = 7
_ZONE: Final = 0x03
_ZONE_SIZES: Final = {int(Zone.CONFIG): CONFIG_SIZE, int(Zone.OTP): OTP_SIZE}
_CHANGES: Final[dict[int, tuple[int, ...]]] = {
    Opcode.UPDATE_EXTRA: (USER_EXTRA, USER_EXTRA + 1),
    Opcode.LOCK: (LOCK_VALUE, LOCK_CONFIG, SLOT_LOCKED.start, SLOT_LOCKED.start + 1),
    Opcode.COUNTER: tuple(range(COUNTERS.start, COUNTERS.stop)),
}
"""Bytes of the configuration that a command other than Write may change."""

Place = tuple[int, int]
"""Zone and offset; slots lie in the data zone in slot order."""


def put_initial_memory(events: Iterable[TraceEvent], memory: Memory) -> None:
    """Put into `memory` what the events show of the chip's memory at their start.

    A private key that the chip already had and used is unknown: a new one takes its place."""
    zones = {Zone.CONFIG: memory.config, Zone.OTP: memory.otp, Zone.DATA: memory.data}
    changed: set[Place] = set()
    made: set[int] = set()
    keys: set[int] = set()
    for event in events:
        if event.do != "exchange" or len(event.got) < 2 * _STATUS_REPLY:
            continue
        if MASK in event.sent + event.got:
            changed.update(_changed_unseen(event.sent))
            continue
        packet, reply = bytes.fromhex(event.sent), bytes.fromhex(event.got)
        if len(packet) < 7:
            continue
        if packet[1:3] == _ASKS_REVISION and len(reply) == _REVISION_REPLY:
            memory.revision = reply[1:-2]
        for (zone, offset), value in _shown(packet, reply, memory).items():
            if (zone, offset) not in changed:
                zones[Zone(zone)][offset] = value
        changed.update(_changed(packet, reply))
        keys.update(_used_keys(packet, reply) - made)
        made.update(_made_keys(packet))
    for slot in keys:
        scalar, _ = SystemRandom().key_pair()
        MemorySlot(memory, slot).store_private_key(scalar)


def _shown(packet: bytes, reply: bytes, memory: Memory) -> dict[Place, int]:
    if packet[1] != Opcode.READ or len(reply) == _STATUS_REPLY:
        return {}
    if packet[2] & _ZONE == Zone.DATA and MemorySlot(memory, packet[3] >> SLOT_SHIFT & 0x0F).encrypt_read:
        return {}  # the reply is encrypted
    return dict(zip(places(packet), reply[1:-2], strict=False))


def _changed(packet: bytes, reply: bytes) -> set[Place]:
    if reply[1] != Status.SUCCESS and len(reply) == _STATUS_REPLY:
        return set()
    if packet[1] == Opcode.WRITE:
        return set(places(packet))
    return {(Zone.CONFIG, offset) for offset in _CHANGES.get(packet[1], ())}


def _changed_unseen(sent: str) -> set[Place]:
    """Return the places that a masked command may have changed; its first bytes, which name them, are never masked."""
    header = bytes.fromhex(sent[: 2 * _HEADER]) if MASK not in sent[: 2 * _HEADER] else b""
    return set(places(header)) if len(header) == _HEADER and header[1] == Opcode.WRITE else set()


def places(packet: bytes) -> list[Place]:
    """Return the places that P1 and P2 of a Read or Write name, as far as they exist."""
    zone, p2 = packet[2] & _ZONE, packet[3] | packet[4] << 8
    wide = bool(packet[2] & P1_32_BYTES)
    block = p2 >> BLOCK_SHIFT if zone == Zone.DATA else p2 >> ZONE_BLOCK_SHIFT
    offset = block * BLOCK_SIZE + (0 if wide else (p2 & 0x07) * WORD_SIZE)
    end = offset + (BLOCK_SIZE if wide else WORD_SIZE)
    if zone == Zone.DATA:
        slot = p2 >> SLOT_SHIFT & 0x0F
        return [(zone, SLOT_STARTS[slot] + at) for at in range(offset, min(end, SLOT_SIZES[slot]))]
    return [(zone, at) for at in range(offset, min(end, _ZONE_SIZES.get(zone, 0)))]


def _used_keys(packet: bytes, reply: bytes) -> set[int]:
    """Return the slot of a private key that the command used with success, as a set."""
    slot = packet[3] | packet[4] << 8
    uses = packet[1] in (Opcode.SIGN, Opcode.ECDH) or (packet[1] == Opcode.GEN_KEY and not packet[2] & GEN_KEY_CREATE)
    return {slot} if uses and slot < SLOT_COUNT and len(reply) > _STATUS_REPLY else set()


def _made_keys(packet: bytes) -> set[int]:
    made = packet[1] == Opcode.PRIV_WRITE or (packet[1] == Opcode.GEN_KEY and packet[2] & GEN_KEY_CREATE)
    return {packet[3]} if made else set()
