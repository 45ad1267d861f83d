"""Lines of the control channel: whole, in parts, damaged, and sealed with another secret. `hmac` itself judges."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.errors import AtcaProvError, Board, Code, DeviceError, ProtocolError, ServerRejected, UsageError
from provisioning_server.control.requests_answers import (
    ControlRequest,
    error_line,
    parse_answer,
    parse_request,
    request_line,
    result_line,
)
from provisioning_server.control.sealed_lines import Direction, SealBrokenError, SealedLineBuffer, seal, unseal

SECRET = bytes(range(32))
REQUEST = ControlRequest("station-remove", {"name": "line-3 \N{SNOWMAN}", "why": None}, "00" * 16)


def sealed(direction: str, body: str) -> bytes:
    """Seal as the format says, without the code under test."""
    mac = hmac.new(SECRET, f"{direction}:{body}".encode(), hashlib.sha256).hexdigest()
    return json.dumps({"mac": mac, "body": body}).encode() + b"\n"


def received(line: bytes, most: int = 1000) -> bytes | None:
    return SealedLineBuffer(most).receive(line)


def test_line_is_sealed_as_documented() -> None:
    body = json.dumps({"nonce": REQUEST.nonce, "command": REQUEST.command, "arguments": REQUEST.arguments})
    assert request_line(SECRET, REQUEST) == sealed("request", body)
    assert parse_request(SECRET, sealed("request", body)) == REQUEST


def test_secret_does_not_stand_in_a_line() -> None:
    assert SECRET not in request_line(SECRET, REQUEST)
    assert SECRET.hex().encode() not in request_line(SECRET, REQUEST)


def test_line_comes_byte_by_byte() -> None:
    line, buffer = request_line(SECRET, REQUEST), SealedLineBuffer(1000)
    assert [buffer.receive(line[i : i + 1]) for i in range(len(line))] == [None] * (len(line) - 1) + [line[:-1]]


def test_each_flipped_bit_is_refused() -> None:
    line = request_line(SECRET, REQUEST)[:-1]
    for place in range(len(line)):
        for bit in range(8):
            damaged = bytearray(line)
            damaged[place] ^= 1 << bit
            with pytest.raises(ProtocolError):
                parse_request(SECRET, bytes(damaged))


def test_each_truncation_is_refused() -> None:
    line = request_line(SECRET, REQUEST)[:-1]
    for end in range(len(line)):
        with pytest.raises(ProtocolError):
            parse_request(SECRET, line[:end])


@given(st.binary(max_size=300))
def test_garbage_ends_in_the_typed_error(data: bytes) -> None:
    for parse in (lambda: parse_request(SECRET, data), lambda: parse_answer(SECRET, "", data)):
        with pytest.raises(ProtocolError):
            parse()


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_sealed_nonsense_ends_in_the_typed_error(body: Any) -> None:
    with pytest.raises(ProtocolError):
        parse_request(SECRET, sealed("request", json.dumps(body)))
    with pytest.raises(ProtocolError):
        parse_answer(SECRET, "00", sealed("answer", json.dumps(body)))
    with pytest.raises(ProtocolError):
        parse_answer(SECRET, "00", sealed("answer", json.dumps({"nonce": "00", "error": {"what": body}})))


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b'{"mac":' * 5000, b"9" * 10_000, b"\xff\xfe", b'{"mac": 1, "body": "{}"}']
)
def test_json_that_harms_a_parser_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        unseal(SECRET, Direction.REQUEST, line)
    assert caught.value.code == Code.BAD_FRAME


def test_line_under_another_secret_is_refused() -> None:
    with pytest.raises(SealBrokenError) as caught:
        parse_request(bytes(32), request_line(SECRET, REQUEST))
    assert caught.value.code == Code.REQUEST_INVALID


def test_request_is_no_answer() -> None:
    with pytest.raises(SealBrokenError):
        unseal(SECRET, Direction.ANSWER, seal(SECRET, Direction.REQUEST, {}))


def test_answer_to_another_request_is_refused() -> None:
    with pytest.raises(ProtocolError):
        parse_answer(SECRET, "01", result_line(SECRET, "02", {}))
    assert parse_answer(SECRET, "01", result_line(SECRET, "01", {"done": 1})) == {"done": 1}


@pytest.mark.parametrize("size", [100, 101])
def test_line_that_is_too_long_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        received(b"x" * size, 100)
    assert caught.value.code == Code.FRAME_TOO_LARGE
    assert received(b"x" * 99 + b"\n", 100) == b"x" * 99


def test_bytes_behind_the_line_are_refused() -> None:
    with pytest.raises(ProtocolError):
        received(b"{}\n{}")


def test_errors_come_across_unchanged() -> None:
    raised = UsageError("No station 'x'.", advice="List them.", code=Code.FILE_INVALID, board=Board.SET_ASIDE)
    raised.details = ("one", "two")
    rejected = ServerRejected("No.", code=Code.SERVER_BUSY)
    refused = DeviceError("The chip refused Sign.", command="Sign", status=0x0F)
    for error in (raised, rejected, refused, AtcaProvError("Oops.")):
        with pytest.raises(type(error)) as caught:
            parse_answer(SECRET, "01", error_line(SECRET, "01", error))
        told = caught.value
        names = ("what", "advice", "code", "board", "details", "exit_code")
        assert [getattr(told, name) for name in names] == [getattr(error, name) for name in names]
    assert isinstance(told, AtcaProvError)
