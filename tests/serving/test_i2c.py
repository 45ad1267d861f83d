"""Raw I2C transactions: acknowledge, word addresses, read pointer, addresses, several chips on one bus."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, ProtocolError, SoftwareChip
from atcaprov.chip.commands import WAKE_TOKEN, Opcode
from atcaprov.serving.chips import ServedClock
from tests.support.chips import packet
from tests.support.i2c_client import ACK, NAK, I2cClient

_INFO = packet(Opcode.INFO)


def moved(address: int) -> SoftwareChip:
    chip = SoftwareChip()
    chip.memory.config[16] = address << 1
    chip.power_cycle()
    return chip


def test_asleep_or_idle_nothing_is_acknowledged_but_the_wake_pulse_is_heard() -> None:
    line = I2cClient(speed=400_000)
    assert (line.write(b"\0"), line.read(4), line.write(b"")) == (NAK, NAK, NAK)
    line.wake()
    assert line.write(b"") == ACK
    assert line.write(b"\x02") == ACK
    assert (line.write(b"\x03" + _INFO), line.read(4)) == (NAK, NAK)
    line.wake()
    assert line.read(4) == ACK + WAKE_TOKEN


def test_the_read_pointer_runs_on_and_word_address_0_puts_it_back() -> None:
    line = I2cClient()
    line.wake()
    assert line.command(_INFO, 1) == b"\x07"
    assert line.read(6) == ACK + bytes.fromhex("000060028038")
    assert line.read(3) == ACK + b"\xff\xff\xff", "past the end the wire stays high"
    assert line.write(b"\x00") == ACK
    assert line.read(9) == ACK + bytes.fromhex("07000060028038ffff")


def test_an_awake_chip_ignores_the_wake_pulse() -> None:
    line = I2cClient()
    line.wake()
    line.command(_INFO, 7)
    line.wake()
    assert line.write(b"\x00") == ACK
    assert line.read(7) == ACK + bytes.fromhex("07000060028038")


@pytest.mark.parametrize("word_address", [0x04, 0x7F, 0xFF])
def test_a_reserved_word_address_does_nothing(word_address: int) -> None:
    line = I2cClient()
    line.wake()
    line.command(_INFO, 1)
    assert line.write(bytes((word_address,)) + _INFO) == ACK
    assert line.read(6) == ACK + bytes.fromhex("000060028038")


def test_a_damaged_packet_is_answered_with_ff() -> None:
    line = I2cClient()
    line.wake()
    assert line.command(_INFO[:-1] + b"\0", 4) == bytes.fromhex("04ff0142")


@pytest.mark.parametrize(
    ("writes", "address"),
    [
        ([packet(Opcode.WRITE, 0, 4, bytes.fromhex("6a000000"))], 0x35),
        ([packet(Opcode.WRITE, 0, 4, bytes.fromhex("c0000001")), packet(Opcode.UPDATE_EXTRA, 1, 0xB2)], 0x59),
        ([packet(Opcode.WRITE, 0, 4, bytes.fromhex("c0000001"))], 0x60),
    ],
    ids=["byte 16", "byte 85", "byte 85 is 0"],
)
def test_a_new_address_counts_after_sleep(writes: list[bytes], address: int) -> None:
    line = I2cClient()
    line.wake()
    for content in writes:
        assert line.command(content, 4) == bytes.fromhex("04000340")
    line.write(b"\x02")
    line.wake()
    assert line.write(b"\x01") == ACK, "idle keeps the old address"
    line.wake()
    assert line.command(_INFO, 7, address=address) == bytes.fromhex("07000060028038")
    if address != 0x60:
        assert line.write(b"\0") == NAK


def test_a_busy_chip_does_not_acknowledge() -> None:
    chip = SoftwareChip(clock=ServedClock(1e-6))  # one chip second lasts eleven days
    line = I2cClient(chip)
    line.wake()
    assert line.read(1) == NAK, "it takes 1.5 ms to wake"
    chip.clock.wait_until(0.002)
    assert line.write(b"\x03" + _INFO) == ACK
    assert (line.read(1), line.write(b"\x00"), line.write(b"\x02")) == (NAK, NAK, NAK)
    chip.clock.wait_until(0.010)
    assert line.read(7) == ACK + bytes.fromhex("07000060028038")


def test_chips_on_one_bus_answer_to_their_addresses() -> None:
    chips = [SoftwareChip(), moved(0x35), moved(0x36)]
    line = I2cClient(*chips)
    line.wake()
    for chip, address in zip(chips, (0x60, 0x35, 0x36), strict=True):
        reply = line.command(packet(Opcode.READ, 0x80), 35, address=address)
        assert reply[1:33] == bytes(chip.memory.config[:32])
    assert line.read(1, address=0x37) == NAK


def test_each_chip_also_has_a_bus_of_its_own() -> None:
    chips = [SoftwareChip(), SoftwareChip()]
    line = I2cClient(*chips)
    line.wake(bus=2)
    assert line.read(4, bus=1) == NAK, "the pulse went to the other bus"
    assert line.command(packet(Opcode.READ, 0x80), 35, bus=2)[1:33] == bytes(chips[1].memory.config[:32])
    line.wake(bus=3)
    assert line.write(b"\0", bus=3) == NAK, "there is no such bus"


def test_two_chips_at_one_address_disturb_each_other_as_on_a_wire() -> None:
    chips = [SoftwareChip(), SoftwareChip()]
    line = I2cClient(*chips)
    line.wake()
    found = line.command(packet(Opcode.READ, 0x80), 35)
    serials = [bytes(chip.memory.config[:32]) for chip in chips]
    assert found[1:33] == bytes(one & other for one, other in zip(*serials, strict=True))


@pytest.mark.parametrize(
    "request_bytes", [b"X\0\x60\0\0", b"x\0\x60\0\0", b"S\0\0\0\0", b"R\0\x80\1\0", b"W\0\xc0\0\0"]
)
def test_bytes_that_are_not_a_message_end_the_connection(request_bytes: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        list(I2cClient().session.receive(request_bytes))
    assert caught.value.code == Code.BAD_FRAME


def test_any_split_of_the_bytes_gives_the_same_answers() -> None:
    stream = b"W\0\0\0\0" + b"W\0\x60\x08\0\x03" + _INFO + b"R\0\x60\7\0"
    session = I2cClient().session
    found = [step for at in range(len(stream)) for step in session.receive(stream[at : at + 1])]
    assert found == [NAK, ACK, ACK + bytes.fromhex("07000060028038")]


@given(st.lists(st.tuples(st.sampled_from(b"WwRrP"), st.integers(0, 3), st.sampled_from([0, 0x60]), st.binary())))
def test_any_transactions_are_answered(transactions: list[tuple[int, int, int, bytes]]) -> None:
    line = I2cClient(SoftwareChip(), SoftwareChip())
    for kind, bus, address, data in transactions:
        written = data if kind in b"Ww" else b""
        reply = line.request(bytes((kind,)), bus, address, len(data), written)
        sizes = (1, 1 + len(data)) if kind in b"Rr" else (1,)
        assert reply == NAK or (reply[:1] == ACK and len(reply) in sizes)


@pytest.mark.slow
@given(st.binary(max_size=200))
def test_garbage_ends_in_answers_or_one_error(garbage: bytes) -> None:
    assert _outcome(garbage) in ("answered", Code.BAD_FRAME)


def _outcome(stream: bytes) -> str:
    try:
        list(I2cClient().session.receive(stream))
    except ProtocolError as error:
        return error.code
    return "answered"
