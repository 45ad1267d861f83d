"""Record and replay: a recording agrees with the chip it was made of, and the first difference is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, EmulatedHal, SoftwareChip, UsageError
from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import crc16, with_crc
from atcaprov.chip.memory_map import KEY_CONFIG, SLOT_SIZES
from atcaprov.emulator.images import image_names, load_image
from atcaprov.emulator.memory import Memory
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.random_source import SystemRandom
from atcaprov.hal.tracing.hal import TracedHal
from atcaprov.hal.tracing.trace_file import Trace, TraceEvent, TraceWriter, parse_trace
from atcaprov.recording.harmless_packets import harmless_packets, run
from atcaprov.recording.replay import replay
from tests.emulator.test_commands_by_wheel import reference_chip
from tests.support.chips import configured_memory, packet
from tests.support.stock_cryptoauthlib import Wheel, buffer

SUCCESS = bytes.fromhex("04000340")


def blank(image: str = "atecc608a") -> Memory:
    return load_image(image).make(SystemRandom())


@contextmanager
def recorded(chip: SoftwareChip) -> Iterator[tuple[TracedHal, Callable[[], Trace]]]:
    file = StringIO()
    hal = TracedHal(EmulatedHal(chip, "emulator:"), TraceWriter(file, "emulator:"), recording=True)
    yield hal, lambda: parse_trace(file.getvalue())


def recording_of_probes(chip: SoftwareChip) -> Trace:
    with recorded(chip) as (hal, trace):
        run(hal, harmless_packets())
        return trace()


@pytest.mark.parametrize("image", image_names())
def test_recorded_questions_replay_on_the_software_chip(image: str) -> None:
    """The software chip begins as a blank 608A: what it needs to know stands in the recording."""
    trace = recording_of_probes(SoftwareChip(blank(image)))
    assert len(trace.events) > 300
    assert replay(trace, blank()).difference is None


def test_recorded_chip_is_identified_by_info() -> None:
    memory = blank("atecc508a")
    memory.config[6] = 0x60
    assert replay(recording_of_probes(SoftwareChip(memory)), blank()).difference is None


def test_harmless_packets_change_no_memory() -> None:
    for chip in (SoftwareChip(), reference_chip(), SoftwareChip(blank("tngtls"))):
        before = chip.memory.image()
        recording_of_probes(chip)
        assert chip.memory.image() == before


def test_every_harmless_packet_is_well_formed() -> None:
    chip = SoftwareChip()
    chip.wake()
    for content in harmless_packets():
        assert chip.exchange(content) != bytes.fromhex("04ff0142")
        chip.idle()
        chip.wake()


class RecordingWheel(Wheel):
    """The library, driving a chip through a recording HAL."""

    def __init__(self, hal: TracedHal, chip: SoftwareChip) -> None:
        self._hal = hal
        super().__init__(chip)

    def _serve(self, command: int, body: bytes) -> bytes:
        if command == 1:
            self._reply = self._hal.exchange(body[1:])
            return b"\x00"
        if command == 2:
            return b"\x00" + self._reply
        {3: self._hal.wake, 4: self._hal.idle, 5: self._hal.sleep}[command]()
        return b"\x00"


def test_recording_of_the_library_replays_without_difference() -> None:
    """Nonces, MACs, encrypted writes and reads, counters: what is random on the part is taken from the recording."""
    chip = reference_chip()
    with recorded(chip) as (hal, trace):
        wheel = RecordingWheel(hal, chip)
        config = wheel.fetch("calib_read_config_zone", 128)
        wheel.call("calib_genkey", 0, buffer(bytes(64)))
        wheel.fetch("calib_get_pubkey", 64, 0)
        wheel.call("calib_sign", 0, buffer(bytes(32)), buffer(bytes(64)))
        wheel.call("calib_nonce_rand", buffer(bytes(20)), buffer(bytes(32)))
        wheel.call("calib_gendig", 0, 0, None, 0)
        wheel.fetch("calib_info_base", 4, 2, 0)
        wheel.call("calib_counter_increment", 1, None)
        wheel.close()
        found = trace()
    assert config[16:] == bytes(chip.memory.config[16:52]) + config[52:68] + bytes(chip.memory.config[68:])
    assert replay(found, blank()).difference is None


@pytest.mark.parametrize(
    ("open_points", "opcode"),
    [
        (replace(OpenPoints(), bad_block_code=0x03), Opcode.READ),
        (replace(OpenPoints(), info_state_seed="shown"), Opcode.INFO),
        (replace(OpenPoints(), partial_block_fill=0xFF), Opcode.READ),
    ],
    ids=["bad-block-code", "info-state-seed", "partial-block-fill"],
)
def test_replay_finds_a_chip_with_another_reading(open_points: OpenPoints, opcode: int) -> None:
    part = SoftwareChip(blank("tngtls"), open_points=open_points)
    difference = replay(recording_of_probes(part), blank()).difference
    assert difference is not None
    assert bytes.fromhex(difference.event.sent)[1] == opcode
    assert difference.number > 1
    assert replay(recording_of_probes(part), blank(), open_points=open_points).difference is None


def test_difference_has_a_reason_and_no_secret() -> None:
    secret = bytes(range(0x60, 0x80))
    sent = packet(Opcode.WRITE, 0x82, 8 << 3, secret)
    events = (TraceEvent("wake"), TraceEvent("exchange", sent.hex(), "04000340"))
    difference = replay(Trace("", events), blank()).difference
    assert difference is not None
    assert difference.number == 2
    assert secret[:8].hex() not in difference.text()
    assert secret.hex() in difference.text(unmasked=True)
    assert "the software chip answered  040f2342\n  because 0F: " in difference.text()


@pytest.mark.parametrize("part", [0, 1])
def test_a_flipped_bit_of_a_recording_is_found(part: int) -> None:
    chip = SoftwareChip(configured_memory())
    with recorded(chip) as (hal, trace):
        hal.wake()
        for content in (packet(Opcode.INFO), packet(Opcode.SHA, 0), packet(Opcode.SHA, 2)):
            hal.exchange(content)
        found = trace()
    at = -1 - part
    event = found.events[at]
    flipped = bytearray.fromhex(event.got)
    flipped[1] ^= 1
    events = list(found.events)
    events[at] = replace(event, got=flipped.hex())
    difference = replay(replace(found, events=tuple(events)), configured_memory()).difference
    assert difference is not None
    assert difference.number == len(events) + 1 + at


def test_watchdog_follows_the_times_of_the_recording() -> None:
    info = packet(Opcode.INFO).hex()
    answered = "07000060028038"

    def events(second: float) -> tuple[TraceEvent, ...]:
        late = TraceEvent("exchange", info, answered, at=second)
        return TraceEvent("wake", at=0.0), TraceEvent("exchange", info, answered, at=0.1), late

    assert replay(Trace("", events(1.0)), blank()).difference is None
    difference = replay(Trace("", events(2.0)), blank()).difference
    assert difference is not None
    assert "the software chip answered  nothing" in difference.text()


def test_late_start_of_a_command_is_not_a_difference() -> None:
    """A Random of up to 23 ms, begun 10 ms before the watchdog: a part that answered it was quick enough."""
    answered = with_crc(b"\x23" + 8 * bytes.fromhex("ffff0000")).hex()
    events = (TraceEvent("wake", at=0.0), TraceEvent("exchange", packet(Opcode.RANDOM).hex(), answered, at=1.29))
    assert replay(Trace("", events), blank()).difference is None


def test_reply_after_a_failed_call_is_believed() -> None:
    failed = TraceEvent("exchange", packet(Opcode.INFO).hex(), "", "device-no-reply")
    assert replay(Trace("", (TraceEvent("wake"), failed)), blank()).difference is None


def test_trace_that_masks_a_command_is_refused() -> None:
    with pytest.raises(UsageError, match="Event 1 of the trace hides its command") as caught:
        replay(Trace("", (TraceEvent("exchange", "0712" + ".." * 5, "04000340"),)), blank())
    assert caught.value.code == Code.FILE_INVALID


SECRET = bytes(range(0x60, 0x80))


@contextmanager
def traced(chip: SoftwareChip) -> Iterator[tuple[TracedHal, Callable[[], Trace]]]:
    """A trace without secrets."""
    file = StringIO()
    hal = TracedHal(EmulatedHal(chip, "emulator:"), TraceWriter(file, "emulator:"))
    hal.wake()

    def trace() -> Trace:
        assert SECRET[:8].hex() not in file.getvalue()
        return parse_trace(file.getvalue())

    yield hal, trace


def unlocked() -> Memory:
    """Slots 8 and 9 public, slot 3 secret; the data zone open."""
    return configured_memory(slots={3: (0x0F8F, 0x003C), 8: (0x0F0F, 0x003C), 9: (0x0F0F, 0x003C)}, data_locked=False)


def test_bytes_of_a_masked_write_are_not_compared() -> None:
    with traced(SoftwareChip(unlocked())) as (hal, trace):
        hal.exchange(packet(Opcode.WRITE, 0x82, 8 << 3, SECRET))  # the configuration was not read before
        hal.exchange(packet(Opcode.LOCK, 0x81))
        assert hal.exchange(packet(Opcode.READ, 0x82, 9 << 3))[1:-2] == b"\xff" * 32
        hal.exchange(packet(Opcode.COUNTER, 1, 0))
        found = trace()
    read = hidden(found.events[-3], 8 << 3)
    found = replace(found, events=(*found.events[:-1], read, found.events[-1]))
    result = replay(found, unlocked())
    assert (result.difference, result.passed_over) == (None, 2)
    last = found.events[-1]
    wrong = replace(found, events=(*found.events[:-1], replace(last, got=last.got[:2] + "ff" + last.got[4:])))
    difference = replay(wrong, unlocked()).difference
    assert difference is not None
    assert difference.number == len(found.events)


def test_rewritten_bytes_are_compared_again() -> None:
    with traced(SoftwareChip(unlocked())) as (hal, trace):
        hal.exchange(packet(Opcode.WRITE, 0x82, 8 << 3, SECRET))
        for block in range(4):
            hal.exchange(packet(Opcode.READ, 0x80, block << 3))
        hal.exchange(packet(Opcode.WRITE, 0x82, 8 << 3, bytes(range(32))))
        hal.exchange(packet(Opcode.LOCK, 0x81))
        hal.exchange(packet(Opcode.READ, 0x82, 8 << 3))
        found = trace()
    result = replay(found, unlocked())
    assert (result.difference, result.passed_over) == (None, 1)
    last = found.events[-1]
    wrong = replace(last, got=with_crc(b"\x23" + bytes(32)).hex())
    assert replay(replace(found, events=(*found.events[:-1], wrong)), unlocked()).difference is not None


def hidden(event: TraceEvent, place: int) -> TraceEvent:
    """Return a read of another place with an answer that cannot be checked."""
    answer = with_crc(b"\x23" + bytes(range(0x20, 0x40)))
    return replace(event, sent=packet(Opcode.READ, 0x82, place).hex(), got=answer.hex())


def test_lock_over_unknown_bytes_is_replayed_without_crc() -> None:
    memory = unlocked()
    with traced(SoftwareChip(memory)) as (hal, trace):
        hal.exchange(packet(Opcode.WRITE, 0x82, 3 << 3, SECRET))
        content = b"".join(
            memory.read_slot(slot, 0, size)
            for slot, size in enumerate(SLOT_SIZES)
            if not memory.config[KEY_CONFIG + 2 * slot] & 1
        )
        assert hal.exchange(packet(Opcode.LOCK, 0x01, crc16(content + bytes(memory.otp)))) == SUCCESS
        assert hal.exchange(packet(Opcode.LOCK, 0x01, 0)) != SUCCESS
        found = trace()
    result = replay(found, unlocked())
    assert (result.difference, result.passed_over) == (None, 1)


def test_replies_that_need_a_masked_nonce_are_not_compared_until_sleep() -> None:
    with traced(SoftwareChip(configured_memory())) as (hal, trace):
        hal.exchange(packet(Opcode.NONCE, 0x03, 0, SECRET))
        hal.exchange(packet(Opcode.GEN_DIG, 2, 3))
        hal.exchange(packet(Opcode.MAC, 0x01, 3))
        hal.exchange(packet(Opcode.INFO))
        hal.sleep()
        hal.wake()
        for mode in (0, 2):
            hal.exchange(packet(Opcode.SHA, mode))
        found = trace()
    result = replay(found, configured_memory())
    assert (result.difference, result.passed_over) == (None, 3)


def test_bytes_of_a_failed_write_are_not_compared() -> None:
    failed = TraceEvent("exchange", packet(Opcode.WRITE, 0x80, 8, bytes(32)).hex(), error="device-no-reply")
    read = TraceEvent("exchange", packet(Opcode.READ, 0x80, 8).hex(), with_crc(b"\x23" + bytes(range(32))).hex())
    memory = configured_memory(config_locked=False, data_locked=False)
    result = replay(Trace("", (TraceEvent("wake"), failed, read)), memory)
    assert (result.difference, result.passed_over) == (None, 1)


_PACKETS = st.binary(min_size=1, max_size=40) | st.builds(
    packet, st.sampled_from(sorted(Opcode)), st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(max_size=40)
)


@given(st.lists(st.tuples(_PACKETS, st.binary(max_size=40)), max_size=5))
def test_any_trace_can_be_replayed(pairs: list[tuple[bytes, bytes]]) -> None:
    events = [TraceEvent("exchange", sent.hex(), got.hex()) for sent, got in pairs]
    difference: Any = replay(Trace("", (TraceEvent("wake"), *events)), blank()).difference
    assert difference is None or difference.text()
