"""The stream of wolfSSL's simulator: its clients send no wake pulse and get raw reply packets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, ProtocolError, SoftwareChip
from atcaprov.chip.commands import Opcode
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip, ServedClock
from atcaprov.serving.framing import Wait
from atcaprov.serving.wolfssl import WolfsslSession
from tests.support.chips import packet

_INFO = packet(Opcode.INFO)
_REVISION = bytes.fromhex("07000060028038")
_STATE = packet(Opcode.INFO, 0x02)


def session(chip: SoftwareChip | None = None) -> WolfsslSession:
    return WolfsslSession(Buses([ServedChip(chip or SoftwareChip())]))


def answered(client: WolfsslSession, data: bytes) -> bytes:
    return b"".join(step for step in client.receive(data) if isinstance(step, bytes))


def test_a_command_is_answered_without_a_wake() -> None:
    assert answered(session(), b"\x03" + _INFO) == _REVISION


def test_wake_idle_and_sleep_are_silent() -> None:
    client = session()
    assert answered(client, b"\x00\x02\x01\x00\x00\x02") == b""
    assert answered(client, b"\x00\x03" + _INFO + b"\x02\x00\x03" + _INFO) == 2 * _REVISION


def test_idle_and_wake_keep_temp_key_and_sleep_loses_it() -> None:
    client = session()
    empty = answered(client, b"\x03" + _STATE)
    answered(client, b"\x03" + packet(Opcode.NONCE, 0x03, 0, bytes(32)))
    loaded = answered(client, b"\x02\x00\x03" + _STATE)
    assert loaded != empty
    assert answered(client, b"\x01\x00\x03" + _STATE) == empty


def test_any_split_of_the_bytes_gives_the_same_answers() -> None:
    stream = b"\x00\x03" + _INFO + b"\x02\x03" + _STATE + b"\x01"
    client = session()
    assert b"".join(answered(client, stream[at : at + 1]) for at in range(len(stream))) == answered(session(), stream)


def test_a_damaged_packet_is_answered_with_ff() -> None:
    assert answered(session(), b"\x03\x02\x00") == bytes.fromhex("04ff0142")


@pytest.mark.parametrize("stream", [b"\x04", b"\xff", b"\x03\x00", b"\x00\x00\x42"])
def test_an_unknown_word_address_ends_the_connection(stream: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        list(session().receive(stream))
    assert caught.value.code == Code.BAD_FRAME


@given(st.binary(max_size=300))
def test_garbage_ends_in_answers_or_one_error(garbage: bytes) -> None:
    for stream in (garbage, b"\x03" + _INFO + garbage):
        assert _outcome(stream) in ("answered", Code.BAD_FRAME)


def _outcome(stream: bytes) -> str:
    try:
        list(session().receive(stream))
    except ProtocolError as error:
        return error.code
    return "answered"


def test_in_real_time_the_answer_is_due_when_the_chip_is_done() -> None:
    steps = list(session(SoftwareChip(clock=ServedClock(1e-6))).receive(b"\x03" + _INFO))
    assert isinstance(steps[0], Wait)
    assert round(steps[0].seconds, -2) == 6500, "wake 1.5 ms and Info 5 ms, a million times slower"
    assert steps[1:] == [_REVISION]
