"""Frames, opcodes, parameters and power states at the packet level."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov.chip.commands import Opcode
from atcaprov.chip.crc import with_crc
from atcaprov.emulator.chip import Chip
from atcaprov.emulator.io_buffer import LONGEST_GROUP
from tests.support.chips import awake_chip, configured_memory, packet, reply_body, send

WAKE = bytes.fromhex("04113343")
INFO = bytes.fromhex("0730000000035d")
"""tests/vectors/kit-bridge.json: one Info command and its reply."""
INFO_REPLY = bytes.fromhex("07000060028038")


class TestPower:
    def test_a_new_chip_sleeps_and_answers_the_wake(self) -> None:
        chip = Chip()
        assert chip.exchange(INFO) == b""
        assert chip.wake() == WAKE
        assert chip.exchange(INFO) == INFO_REPLY

    def test_an_awake_chip_ignores_wake(self) -> None:
        chip = awake_chip()
        assert chip.wake() == b""
        assert chip.exchange(INFO) == INFO_REPLY

    def test_sleep_and_idle_end_listening(self) -> None:
        chip = awake_chip()
        for leave in (chip.sleep, chip.idle):
            leave()
            assert chip.exchange(INFO) == b""
            assert chip.wake() == WAKE

    @pytest.mark.parametrize(("leave", "kept"), [("idle", True), ("sleep", False), ("power_cycle", False)])
    def test_idle_keeps_and_sleep_drops_the_volatile_state(self, leave: str, kept: bool) -> None:
        chip = awake_chip()
        send(chip, Opcode.NONCE, 3, 0, bytes(32))
        send(chip, Opcode.NONCE, 0x43, 0, bytes(32))
        send(chip, Opcode.SHA, 0)
        getattr(chip, leave)()
        volatile = chip.core.volatile
        assert volatile.temp_key.valid is kept
        assert (volatile.message_digest is not None) is kept
        assert (volatile.sha is not None) is kept

    def test_a_sleeping_chip_cannot_be_sent_to_idle(self) -> None:
        chip = Chip()
        chip.idle()
        assert chip.wake() == WAKE


class TestFrames:
    @pytest.mark.parametrize("length", range(1, len(INFO)))
    def test_a_cut_packet_waits_for_its_rest(self, length: int) -> None:
        """DS20005927A, 9.1.1: until the watchdog ends it."""
        chip = awake_chip()
        assert chip.exchange(INFO[:length]) == b""
        assert chip.exchange(INFO[length:]) == INFO_REPLY

    @pytest.mark.parametrize("bit", range(8 * len(INFO)))
    def test_a_flipped_bit_is_a_communication_error(self, bit: int) -> None:
        flipped = bytearray(INFO)
        flipped[bit // 8] ^= 1 << bit % 8
        reply = awake_chip().exchange(bytes(flipped))
        waits = len(INFO) < flipped[0] <= LONGEST_GROUP
        assert reply == b"" if waits else reply_body(reply) == b"\xff"

    def test_count_and_length_must_agree_even_with_a_good_crc(self) -> None:
        wrong = with_crc(bytes((6, 0x30, 0, 0, 0)))
        assert reply_body(awake_chip().exchange(wrong)) == b"\xff"

    def test_every_refusal_has_a_reason_that_is_not_sent(self) -> None:
        chip = awake_chip()
        reply = send(chip, Opcode.GEN_KEY, 4, 0)
        assert reply.body == b"\x0f"
        assert chip.last_refusal is not None
        assert chip.last_refusal.bit == "LockConfig"
        send(chip, Opcode.INFO)
        assert chip.last_refusal is None


def illegal_requests() -> list[tuple[int, int, int, bytes]]:
    return [
        (0x13, 0, 0, b""),  # Delete, of later parts
        (0x11, 0, 0, b""),  # HMAC, of the 508A
        (0x01, 0, 0, b""),  # Pause, of the 508A
        (Opcode.INFO, 3, 0, b""),
        (Opcode.INFO, 5, 0, b""),
        (Opcode.INFO, 8, 0, b""),
        (Opcode.INFO, 0, 0, b"\0"),
        (Opcode.INFO, 1, 0x8000, b""),
        (Opcode.INFO, 4, 1, b""),
        (Opcode.READ, 3, 0, b""),
        (Opcode.READ, 0x40, 0, b""),
        (Opcode.READ, 2, 0x80, b""),
        (Opcode.READ, 0, 0, b"\0"),
        (Opcode.WRITE, 0, 4, bytes(5)),
        (Opcode.WRITE, 0x80, 4, bytes(4)),
        (Opcode.WRITE, 3, 4, bytes(4)),
        (Opcode.WRITE, 0x04, 4, bytes(4)),
        (Opcode.WRITE, 0xC0, 8, bytes(32)),
        (Opcode.WRITE, 0x81, 0, bytes(63)),
        (Opcode.WRITE, 0x82, 9 << 3, bytes(40)),
        (Opcode.LOCK, 3, 0, b""),
        (Opcode.LOCK, 0x40, 0, b""),
        (Opcode.LOCK, 0x80, 0, b"\0"),
        (Opcode.UPDATE_EXTRA, 2, 0, b""),
        (Opcode.UPDATE_EXTRA, 0, 0x100, b""),
        (Opcode.NONCE, 2, 0, bytes(20)),
        (Opcode.NONCE, 0, 0, bytes(32)),
        (Opcode.NONCE, 0, 1, bytes(20)),
        (Opcode.NONCE, 0x20, 0, bytes(20)),
        (Opcode.NONCE, 0x40, 0, bytes(20)),
        (Opcode.NONCE, 3, 0, bytes(20)),
        (Opcode.NONCE, 3, 0, bytes(64)),
        (Opcode.NONCE, 0x23, 0, bytes(32)),
        (Opcode.NONCE, 0xA3, 0, bytes(64)),
        (Opcode.NONCE, 0xC3, 0, bytes(32)),
        (Opcode.NONCE, 3, 0x8000, bytes(32)),
        (Opcode.RANDOM, 2, 0, b""),
        (Opcode.RANDOM, 0, 1, b""),
        (Opcode.GEN_KEY, 1, 0, b""),
        (Opcode.GEN_KEY, 0x14, 0, b""),
        (Opcode.GEN_KEY, 4, 0x8000, b""),
        (Opcode.GEN_KEY, 0, 0xFFFF, b""),
        (Opcode.GEN_KEY, 0x10, 8, b""),
        (Opcode.SIGN, 0x82, 0, b""),
        (Opcode.SIGN, 0x20, 0, b""),
        (Opcode.SIGN, 0x80, 0x8000, b""),
        (Opcode.SIGN, 0x80, 0, b"\0"),
        (Opcode.VERIFY, 2, 5, bytes(128)),
        (Opcode.VERIFY, 2, 4, bytes(64)),
        (Opcode.VERIFY, 4, 4, bytes(128)),
        (Opcode.VERIFY, 0x42, 4, bytes(128)),
        (Opcode.SHA, 5, 0, b""),
        (Opcode.SHA, 0, 1, b""),
        (Opcode.SHA, 0x40, 0, b""),
        (Opcode.SHA, 0x82, 0, b""),
        (Opcode.SHA, 1, 3, bytes(4)),
        (Opcode.SHA, 1, 65, bytes(65)),
        (Opcode.SHA, 8, 0, b""),
        (Opcode.SHA, 7, 35, bytes(35)),
        (Opcode.SHA, 4, 0x8000, b""),
    ]


@pytest.mark.parametrize("locked", [False, True])
@pytest.mark.parametrize("request_", illegal_requests(), ids=lambda r: f"{r[0]:02x}-{r[1]:02x}-{r[2]:04x}-{len(r[3])}")
def test_what_is_illegal_is_a_parse_error_in_every_state(request_: tuple[int, int, int, bytes], locked: bool) -> None:
    chip = awake_chip(configured_memory(config_locked=locked, data_locked=locked))
    assert send(chip, *request_).body == b"\x03"


@st.composite
def sound_packets(draw: st.DrawFn) -> bytes:
    opcode = draw(st.one_of(st.sampled_from([int(opcode) for opcode in Opcode]), st.integers(0, 255)))
    p1 = draw(st.integers(0, 255))
    p2 = draw(st.one_of(st.integers(0, 0xFFFF), st.integers(0, 16), st.just(0xFFFF)))
    size = draw(st.one_of(st.sampled_from([0, 4, 20, 32, 64, 77, 96, 128]), st.integers(0, 144)))
    return packet(opcode, p1, p2, draw(st.binary(min_size=size, max_size=size)))


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.one_of(sound_packets(), st.binary(min_size=1, max_size=160)), min_size=1, max_size=12),
    st.booleans(),
    st.booleans(),
)
def test_any_bytes_get_a_valid_reply(packets: list[bytes], config_locked: bool, data_locked: bool) -> None:
    chip = awake_chip(configured_memory(config_locked=config_locked, data_locked=config_locked and data_locked))
    for sent in packets:
        chip.rewind()
        reply = chip.exchange(sent)
        if not chip.io.is_whole and chip.io.command:
            assert reply == b""
            continue
        body = reply_body(reply)
        assert len(body) in (1, 4, 16, 32, 64, 96) or 36 <= len(body) <= 99
        refused = chip.last_refusal
        assert refused is None or body == bytes((refused.status,))
