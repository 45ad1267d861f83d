"""Which slots a trace takes for public, judged by the model of the configuration zone."""

from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import EmulatedHal, SoftwareChip
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.chip.memory_map import SLOT_CONFIG
from atcaprov.config_zone.slot import KeyConfig, SlotConfig
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.masking import PublicSlots, masked_packets
from atcaprov.hal.tracing.trace_file import TraceWriter
from tests.support.chips import configured_memory, packet

SECRET = bytes(range(0x60, 0x80))
SLOT = 8
READ = packet(Opcode.READ, 0x82, SLOT << 3)
WRITE = packet(Opcode.WRITE, 0x82, SLOT << 3, SECRET)
PUBLIC, HIDDEN, ENCRYPTED = (0x0F0F, 0x003C), (0x0F8F, 0x003C), (0x0F4F, 0x003C)
CONFIG_READS = [packet(Opcode.READ, 0x80, block << 3) for block in range(4)]


def traced(slot_words: tuple[int, int], packets: list[bytes], *, config_locked: bool = True) -> str:
    """Return the trace of packets to a chip with these words of SlotConfig and KeyConfig."""
    file = StringIO()
    memory = configured_memory(slots={SLOT: slot_words}, config_locked=config_locked, data_locked=False)
    hal = TracedHal(EmulatedHal(SoftwareChip(memory), "emulator:"), TraceWriter(file, "emulator:"))
    hal.wake()
    for content in packets:
        hal.exchange(content)
    return file.getvalue()


def shows(trace: str) -> bool:
    return SECRET[:8].hex() in trace


def test_a_slot_is_public_when_its_whole_configuration_says_so() -> None:
    assert shows(traced(PUBLIC, [*CONFIG_READS, WRITE]))
    for words in (HIDDEN, ENCRYPTED):
        assert not shows(traced(words, [*CONFIG_READS, WRITE]))
    assert not shows(traced(PUBLIC, [WRITE]))
    slot_config, key_config = CONFIG_READS[1], CONFIG_READS[3]
    assert not shows(traced(PUBLIC, [slot_config, WRITE]))
    assert not shows(traced(PUBLIC, [key_config, WRITE]))
    assert shows(traced(PUBLIC, [slot_config, key_config, WRITE]))


def test_word_reads_count_too() -> None:
    words = [packet(Opcode.READ, 0x00, offset >> 5 << 3 | offset >> 2 & 7) for offset in (36, 112)]
    assert shows(traced(PUBLIC, [*words, WRITE]))


def test_a_refused_write_stays_masked() -> None:
    assert not shows(traced(PUBLIC, [*CONFIG_READS, WRITE], config_locked=False))


def test_an_encrypted_write_stays_masked() -> None:
    encrypted = packet(Opcode.WRITE, 0xC2, SLOT << 3, SECRET + bytes(32))
    assert not shows(traced(PUBLIC, [*CONFIG_READS, encrypted]))


class Encrypting(EmulatedHal):
    """Answers a read of the slot as if the host had proven its secret."""

    def exchange(self, packet: bytes) -> bytes:
        return with_crc(b"\x23" + SECRET) if packet == READ else super().exchange(packet)


def test_an_encrypted_read_is_masked() -> None:
    for words in (ENCRYPTED, PUBLIC):
        file = StringIO()
        chip = Encrypting(SoftwareChip(configured_memory(slots={SLOT: words})), "emulator:")
        hal = TracedHal(chip, TraceWriter(file, "emulator:"))
        hal.wake()
        for content in (*CONFIG_READS, READ):
            hal.exchange(content)
        assert shows(file.getvalue()) == (words == PUBLIC)


def test_configuration_is_never_masked() -> None:
    file = StringIO()
    chip = SoftwareChip(configured_memory(slots={2: ENCRYPTED}, config_locked=False, data_locked=False))
    hal = TracedHal(EmulatedHal(chip, "emulator:"), TraceWriter(file, "emulator:"))
    hal.wake()
    for content in (*CONFIG_READS, *CONFIG_READS, packet(Opcode.WRITE, 0x00, 0x0A, bytes(4))):
        hal.exchange(content)
    assert file.getvalue().count('"sent"') == 9
    assert ".." not in file.getvalue()


def test_configuration_writes_count_and_failed_ones_are_forgotten() -> None:
    place = (SLOT_CONFIG + 2 * SLOT) // 4
    lock = packet(Opcode.LOCK, 0x80)
    to_public = packet(Opcode.WRITE, 0x00, place >> 3 << 3 | place & 7, bytes.fromhex("0f0f0f0f"))
    to_hidden = packet(Opcode.WRITE, 0x00, place >> 3 << 3 | place & 7, bytes.fromhex("8f0f8f0f"))
    assert shows(traced(HIDDEN, [*CONFIG_READS, to_public, lock, WRITE], config_locked=False))
    assert not shows(traced(PUBLIC, [*CONFIG_READS, to_hidden, lock, WRITE], config_locked=False))
    assert not shows(traced(PUBLIC, [*CONFIG_READS, to_hidden, WRITE]))


def test_another_chip_has_another_configuration() -> None:
    file = StringIO()
    hal = TracedHal(EmulatedHal(SoftwareChip(), "emulator:"), TraceWriter(file, "emulator:"))
    chips = []
    for number, words in enumerate((PUBLIC, HIDDEN)):
        memory = configured_memory(slots={SLOT: words}, data_locked=False)
        memory.config[2] = number
        chips.append(EmulatedHal(SoftwareChip(memory), "emulator:"))
    for chip in chips:
        chip.wake()
        hal._hal = chip
        for content in CONFIG_READS if chip is chips[0] else CONFIG_READS[:1]:
            hal.exchange(content)
    hal.exchange(WRITE)
    assert not shows(file.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize("opcode", [Opcode.ECDH, Opcode.KDF, Opcode.AES, Opcode.RANDOM, Opcode.MAC, Opcode.SECURE_BOOT])
@given(size=st.integers(1, 300), first=st.integers(0, 255))
def test_no_part_of_a_secret_reply_shows(opcode: Opcode, size: int, first: int) -> None:
    command = packet(opcode, 0, 0, bytes(32))
    _, got = masked_packets(command, (bytes((first,)) + SECRET * 10)[:size])
    assert SECRET[:1].hex() not in got[2:]
    assert masked_packets(command, with_crc(b"\x04\x0f"))[1] == "040f2342"


@pytest.mark.parametrize("damaged", range(36))
def test_damaged_configuration_read_makes_no_slot_public(damaged: int) -> None:
    public = PublicSlots()
    for command, content in zip(CONFIG_READS, (0x00, 0x0F, 0x00, 0x3C), strict=True):
        reply = bytearray(with_crc(bytes((35, *[content] * 32))))
        if command == CONFIG_READS[1]:
            reply[min(damaged, 34)] ^= 0x80
        public.learn(command, bytes(reply[:damaged] if damaged < 35 else reply))
    assert masked_packets(WRITE, with_crc(b"\x04\x00"), public)[0].count("..") == len(WRITE) - 5


def test_write_with_a_damaged_answer_stays_masked() -> None:
    public = PublicSlots()
    for command, content in zip(CONFIG_READS, (0x00, 0x0F, 0x00, 0x3C), strict=True):
        public.learn(command, with_crc(bytes((35, *[content] * 32))))
    assert ".." not in masked_packets(WRITE, with_crc(b"\x04\x00"), public)[0]
    assert ".." in masked_packets(WRITE, b"\x04\x00\x23\x42", public)[0]


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF))
def test_secret_slot_never_shows(slot_word: int, key_word: int) -> None:
    slot_config, key_config = SlotConfig(slot_word), KeyConfig(key_word)
    is_hidden = slot_config.is_secret or slot_config.encrypt_read or key_config.private
    trace = traced((slot_word, key_word), [*CONFIG_READS, WRITE])
    assert not (shows(trace) and is_hidden)
