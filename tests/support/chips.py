"""Software chips in any state, and raw packets to them."""

from __future__ import annotations

from typing import NamedTuple

from atcaprov import SoftwareChip
from atcaprov.chip.crc import crc16, with_crc
from atcaprov.chip.memory_map import KEY_CONFIG, LOCK_CONFIG, LOCK_VALUE, SLOT_CONFIG
from atcaprov.emulator.images import blank_608a
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import SeededRandom

SERIAL = bytes.fromhex("01234038d92ca571ee")


class ChipReply(NamedTuple):
    """One reply without count and CRC, and why the chip refused if it did."""

    body: bytes
    reason: str

    @property
    def status(self) -> int:
        """The status byte; a reply with data has none."""
        assert len(self.body) == 1, self.body.hex()
        return self.body[0]


def packet(opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> bytes:
    """Return a command packet with a valid count and CRC."""
    return with_crc(bytes((len(data) + 7, opcode, p1)) + p2.to_bytes(2, "little") + data)


def reply_body(reply: bytes) -> bytes:
    """Check count and CRC of a reply and return the bytes between them."""
    assert len(reply) >= 4
    assert reply[0] == len(reply)
    assert crc16(reply[:-2]) == int.from_bytes(reply[-2:], "little")
    return reply[1:-2]


def send(chip: SoftwareChip, opcode: int, p1: int = 0, p2: int = 0, data: bytes = b"") -> ChipReply:
    """Send one command to a chip; wake it first if it sleeps."""
    chip.wake()
    body = reply_body(chip.exchange(packet(opcode, p1, p2, data)))
    return ChipReply(body, str(chip.last_refusal))


def configured_memory(
    *,
    slots: dict[int, tuple[int, int]] | None = None,
    content: dict[int, bytes] | None = None,
    config_bytes: dict[int, bytes] | None = None,
    otp: bytes = b"\xff" * 64,
    config_locked: bool = True,
    data_locked: bool = True,
) -> Memory:
    """Return the memory of a factory 608A with (SlotConfig, KeyConfig) pairs, contents and bytes changed.

    Defaults to both zones locked.
    """
    memory = blank_608a(SERIAL)
    memory.otp[:] = otp
    for number, (slot_config, key_config) in (slots or {}).items():
        memory.config[SLOT_CONFIG + 2 * number : SLOT_CONFIG + 2 * number + 2] = slot_config.to_bytes(2, "little")
        memory.config[KEY_CONFIG + 2 * number : KEY_CONFIG + 2 * number + 2] = key_config.to_bytes(2, "little")
    for offset, values in (config_bytes or {}).items():
        memory.config[offset : offset + len(values)] = values
    for number, values in (content or {}).items():
        memory.write_slot(number, 0, values)
    if config_locked:
        memory.config[LOCK_CONFIG] = 0
    if data_locked:
        memory.config[LOCK_VALUE] = 0
    return memory


def awake_chip(
    memory: Memory | None = None, *, open_points: OpenPoints | None = None, seed: bytes = b"test"
) -> SoftwareChip:
    """Return an awake chip with a seeded random source."""
    chip = SoftwareChip(memory, random_source=SeededRandom(seed), open_points=open_points)
    chip.wake()
    return chip
