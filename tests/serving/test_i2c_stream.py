"""What a chip makes of the bytes of its I2C bus (DS20005927A, section 6): commands in parts, replies read again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import SoftwareChip
from atcaprov.chip.commands import WAKE_TOKEN, Opcode
from atcaprov.emulator.chip import Power
from atcaprov.emulator.i2c_port import I2cPort
from atcaprov.emulator.open_points import OpenPoints
from atcaprov.emulator.timing import VirtualClock
from atcaprov.serving.chips import ServedClock
from tests.support.chips import packet
from tests.support.i2c_client import ACK, NAK, I2cClient

INFO = packet(Opcode.INFO)
REVISION = bytes.fromhex("07000060028038")
COMMAND = b"\x03"
NOTHING = b"\xff"


@pytest.fixture
def line() -> I2cClient:
    line = I2cClient()
    line.wake()
    return line


# 6.2: a command is a stream of bytes


@given(
    st.lists(st.integers(0, len(INFO) - 1), max_size=4).map(sorted),
    st.binary(max_size=20),
    st.booleans(),
)
def test_a_command_in_any_parts_and_with_bytes_behind_it_gets_its_reply(
    cuts: list[int], behind: bytes, stops: bool
) -> None:
    line = I2cClient()
    line.wake()
    sent = INFO + behind
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        is_last = end == len(sent)
        assert line.write(COMMAND + sent[start:end], ends=stops or is_last) == ACK
    assert line.read(len(REVISION)) == ACK + REVISION


def test_it_begins_with_the_stop_behind_its_last_byte(line: I2cClient) -> None:
    """A repeated start is none: a program that reads behind one reads nothing yet (6.2)."""
    assert line.write(COMMAND + INFO, ends=False) == ACK
    assert line.read(7) == ACK + 7 * NOTHING
    assert line.read(7) == ACK + REVISION


@pytest.mark.parametrize("count", [0, 1, 3, 156, 255])
def test_a_count_that_no_group_has_is_an_error_at_once(line: I2cClient, count: int) -> None:
    """9.1: 4 to 155 are possible."""
    assert line.write(COMMAND + bytes((count,))) == ACK
    assert line.read(4) == ACK + bytes.fromhex("04ff0142")


@pytest.mark.parametrize(("choice", "acknowledge"), [("acknowledge", ACK), ("refuse", NAK)])
def test_bytes_behind_the_count_are_ignored(choice: str, acknowledge: bytes) -> None:
    """6.2 requires it; whether they are acknowledged is open (6.6: no)."""
    line = I2cClient(SoftwareChip(open_points=OpenPoints(bytes_behind_count=choice)))  # type: ignore[arg-type]
    line.wake()
    assert line.write(COMMAND + INFO + b"more") == acknowledge
    assert line.read(7) == ACK + REVISION


@pytest.mark.parametrize(("choice", "reply"), [("high", ACK + 4 * NOTHING), ("no-acknowledge", NAK)])
def test_a_read_of_an_incomplete_command_is_an_open_point(choice: str, reply: bytes) -> None:
    """6.6: FF bytes; 6.5: no acknowledge. The command can still be completed."""
    line = I2cClient(SoftwareChip(open_points=OpenPoints(read_of_incomplete_command=choice)))  # type: ignore[arg-type]
    line.wake()
    line.write(COMMAND + INFO[:3])
    assert line.read(4) == reply
    assert line.write(COMMAND + INFO[3:]) == ACK
    assert line.read(7) == ACK + REVISION


def test_an_incomplete_command_waits_until_the_watchdog() -> None:
    """9.1.1."""
    clock = VirtualClock()
    chip = SoftwareChip(clock=clock)
    line = I2cClient(chip)
    line.wake()
    line.write(COMMAND + INFO[:-1])
    clock.advance(1.2)
    assert line.read(1) == ACK + NOTHING
    clock.advance(0.2)
    assert line.read(1) == NAK
    assert chip.power is Power.ASLEEP
    line.wake()
    assert line.read(4) == ACK + WAKE_TOKEN
    assert line.command(INFO, 7) == REVISION


@pytest.mark.parametrize("end", [b"\x00", b"\x01", b"\x02"], ids=["restart", "sleep", "idle"])
def test_word_addresses_drop_an_incomplete_command(line: I2cClient, end: bytes) -> None:
    """6.2.1; 6.8: after a resynchronization word address 00 does so."""
    line.write(COMMAND + INFO[:4])
    assert line.write(end) == ACK
    line.wake()
    assert line.command(INFO, 7) == REVISION


def test_nine_clocks_with_sda_high_bring_a_chip_back_into_step() -> None:
    """6.8: start, nine clocks, start, stop; then 00 drops what had come."""
    chip = SoftwareChip()
    chip.wake()
    port = I2cPort(chip)
    assert port.start(0xC0)
    for byte in COMMAND + INFO[:4]:
        assert port.write(byte)
    assert not port.start(0xFF)
    port.stop()
    assert port.start(0xC0)
    assert port.write(0x00)
    assert port.stop() == b""
    assert port.start(0xC0)
    assert all(port.write(byte) for byte in COMMAND + INFO)
    assert port.stop() == INFO


# 6.6: the address counter


def test_the_first_byte_of_a_command_makes_the_old_reply_unreadable(line: I2cClient) -> None:
    line.command(INFO, 7)
    line.write(COMMAND + INFO[:1])
    line.write(b"\x00")
    assert line.read(4) == ACK + 4 * NOTHING


def test_a_word_address_alone_keeps_the_reply_and_goes_back_to_its_start(line: I2cClient) -> None:
    line.command(INFO, 3)
    for word_address in (COMMAND, b"\x00", COMMAND):
        assert line.write(word_address) == ACK
        assert line.read(5) == ACK + REVISION[:5]
    assert line.read(4) == ACK + REVISION[5:] + 2 * NOTHING


@pytest.mark.parametrize("word_address", [COMMAND, b"\x00"])
def test_a_combined_transfer_reads_from_the_first_byte(line: I2cClient, word_address: bytes) -> None:
    line.command(INFO, 7)
    for count in (1, 7):
        assert line.write(word_address, ends=False) == ACK
        assert line.read(count) == ACK + REVISION[:count]


def test_the_wake_answer_too_is_read_again(line: I2cClient) -> None:
    assert line.read(4) == ACK + WAKE_TOKEN
    line.write(COMMAND)
    assert line.read(4) == ACK + WAKE_TOKEN


# 6.3, 6.4: sleep and idle


@pytest.mark.parametrize(("word_address", "power"), [(b"\x01", Power.ASLEEP), (b"\x02", Power.IDLE)])
def test_sleep_and_idle_come_with_the_end_of_their_message(word_address: bytes, power: Power) -> None:
    chip = SoftwareChip()
    line = I2cClient(chip)
    line.wake()
    assert line.write(word_address, ends=False) == ACK
    assert chip.power is Power.AWAKE
    assert line.read(4) == NAK
    assert chip.power is power


def test_while_a_command_runs_nothing_is_taken() -> None:
    """6.2.2: not even the rest of a message that began before its stop."""
    chip = SoftwareChip(clock=ServedClock(1e-6))
    line = I2cClient(chip)
    line.wake()
    chip.clock.wait_until(0.002)
    assert line.write(COMMAND + INFO) == ACK
    for word_address in (b"", b"\x00", b"\x01", b"\x02", COMMAND, COMMAND + INFO):
        assert line.write(word_address) == NAK
    assert line.read(1) == NAK
    chip.clock.wait_until(0.010)
    assert line.read(7) == ACK + REVISION


def test_a_transfer_without_its_stop_is_ended_by_the_next_one(line: I2cClient) -> None:
    assert line.write(COMMAND + INFO, ends=False) == ACK
    assert line.write(b"", address=0x11) == NAK
    assert line.read(7) == ACK + REVISION
