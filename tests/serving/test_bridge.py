"""The kit bridge over TCP: the frames of the public protocol, refusals, and bytes that do not belong to it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, ProtocolError, SoftwareChip
from atcaprov.chip.commands import Opcode
from atcaprov.serving.bridge import BridgeSession
from atcaprov.serving.bus import Buses
from atcaprov.serving.chips import ServedChip, ServedClock
from atcaprov.serving.framing import Wait
from tests.support.chips import packet

_INFO = bytes.fromhex("0730000000035d")
_WAKE, _SEND, _RECEIVE, _IDLE = "0213c0", "0211c0ff" + _INFO.hex(), "0212c000c000", "0214c0"


def session(*chips: SoftwareChip) -> BridgeSession:
    return BridgeSession(Buses([ServedChip(chip) for chip in chips or (SoftwareChip(),)]))


def framed(frame: str) -> bytes:
    content = bytes.fromhex(frame)
    return len(content).to_bytes(2, "little") + content


def answers(bridge: BridgeSession, *frames: str) -> list[str]:
    """Send frames and return the frames that come back, without their lengths."""
    steps = list(bridge.receive(b"".join(map(framed, frames))))
    replies = [step for step in steps if isinstance(step, bytes)]
    assert all(int.from_bytes(reply[:2], "little") == len(reply) - 2 for reply in replies)
    return [reply[2:].hex() for reply in replies]


def test_the_frames_of_one_info_command() -> None:
    """Frames as captured from the library: interface 1 (I2C), identity C0."""
    found = answers(session(), _WAKE, _SEND, _RECEIVE, _IDLE, "0215c0")
    assert found == ["0213c000", "0211c000", "0212c00007000060028038", "0214c000", "0215c000"]


def test_any_split_of_the_bytes_gives_the_same_answers() -> None:
    stream = b"".join(map(framed, (_WAKE, _SEND, _RECEIVE, _IDLE)))
    bridge = session()
    found = b"".join(b"".join(map(bytes_of, bridge.receive(stream[at : at + 1]))) for at in range(len(stream)))
    assert found == b"".join(map(bytes_of, session().receive(stream)))


def bytes_of(step: bytes | Wait) -> bytes:
    return step if isinstance(step, bytes) else b""


def test_a_reply_is_cut_to_the_length_that_is_asked_for() -> None:
    assert answers(session(), _WAKE, _SEND, "0212c0000300")[-1] == "0212c000070000"


def test_a_packet_goes_to_the_chip_byte_by_byte() -> None:
    """DS20005927A, 6.2: what is too short waits for its rest, what lies behind the count is ignored."""
    bridge = session()
    rest = "0211c0ff" + _INFO[2:].hex()
    assert answers(bridge, _WAKE, "0211c0ff" + _INFO[:2].hex(), _RECEIVE)[1:] == ["0211c0f0", "0212c0f0"]
    assert answers(bridge, rest, _RECEIVE) == ["0211c000", "0212c00007000060028038"]
    assert answers(bridge, _SEND + "ffff", _RECEIVE) == ["0211c000", "0212c00007000060028038"]


def test_a_sleeping_chip_takes_no_command_and_has_no_reply() -> None:
    assert answers(session(), _SEND, _RECEIVE) == ["0211c0f0", "0212c0f0"]


def test_idle_keeps_what_sleep_loses() -> None:
    nonce = packet(Opcode.NONCE, 0x03, 0, bytes(32))
    mac = "0211c0ff" + packet(Opcode.INFO, 0x02).hex()
    loaded = answers(session(), _WAKE, "0211c0ff" + nonce.hex(), "0214c0", _WAKE, mac, _RECEIVE)[-1]
    lost = answers(session(), _WAKE, "0211c0ff" + nonce.hex(), "0215c0", _WAKE, mac, _RECEIVE)[-1]
    assert loaded != lost


def test_the_identity_chooses_the_chip() -> None:
    first, second = SoftwareChip(), SoftwareChip()
    second.memory.config[16] = 0x6A
    second.power_cycle()
    bridge = session(first, second)
    read = packet(Opcode.READ, 0x80).hex()
    for identity, chip in (("c0", first), ("6a", second), ("00", first)):
        found = answers(bridge, f"0213{identity}", f"0211{identity}ff{read}", f"0212{identity}00ff00")[-1]
        assert bytes(chip.memory.config[:32]).hex() in found
    assert answers(bridge, "021344", "021144ff" + read) == ["021344f9", "021144f9"]


@pytest.mark.parametrize("frame", ["0210c0", "0216c0", "021fc0aabb", "0211c0", "0212c0", "0212c000c0"])
def test_unknown_frame_is_answered_as_bad_parameter(frame: str) -> None:
    assert answers(session(), frame) == [frame[:6] + "e2"]


@pytest.mark.parametrize("stream", [b"\0\0", b"\2\0ab", b"\1\4", b"\xff\xff", framed("0113c0"), framed("0313c0")])
def test_invalid_frame_ends_the_connection(stream: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        list(session().receive(stream))
    assert caught.value.code == Code.BAD_FRAME


@given(st.binary(max_size=300), st.integers(0, 255))
def test_garbage_ends_in_answers_or_one_error(garbage: bytes, command: int) -> None:
    framings = (garbage, framed((bytes((2, command, 0xC0)) + garbage).hex()), framed(_WAKE) + framed(_SEND) + garbage)
    for stream in framings:
        assert _outcome(stream) in ("answered", Code.BAD_FRAME)


def _outcome(stream: bytes) -> str:
    try:
        list(session().receive(stream))
    except ProtocolError as error:
        return error.code
    return "answered"


def test_in_real_time_the_answer_is_due_when_the_chip_is_done() -> None:
    bridge = session(SoftwareChip(clock=ServedClock(1e-6)))
    steps = list(bridge.receive(framed(_WAKE) + framed(_SEND)))
    assert [type(step) for step in steps] == [Wait, bytes, Wait, bytes]
    waits = [step.seconds for step in steps if isinstance(step, Wait)]
    assert [round(wait, -2) for wait in waits] == [1500, 6500], "wake 1.5 ms and Info 5 ms, a million times slower"
