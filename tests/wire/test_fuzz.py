"""For any input a connection gives only a message, nothing yet, closed, or one of its two typed errors."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import ProtocolError, TransportError
from atcaprov.wire.connection import CLOSED, Connection, Role
from atcaprov.wire.fields import ReportedStage
from atcaprov.wire.framing import Header
from atcaprov.wire.messages import MESSAGES, AnyMessage, ReportRequest
from tests.support.wire_examples import ERROR, REPLY, REPORT, REPORT_REPLY, REQUEST, SIGNER_REPLY, SIGNER_REQUEST

SENT = {
    Role.SERVER: b"".join(Connection(Role.CLIENT).send(request) for request in (SIGNER_REQUEST, REPORT, REQUEST)),
    Role.CLIENT: b"".join(Header(m.TYPE, len(m.body())).pack() + m.body() for m in (SIGNER_REPLY, REPORT_REPLY, REPLY)),
}
roles = st.sampled_from(Role)
types = st.sampled_from(sorted(MESSAGES))
cbor_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=80) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-5, 30) | st.text(max_size=3), inner, max_size=8)
        | st.builds(cbor2.CBORTag, st.integers(0, 300), inner)
    ),
    max_leaves=12,
)


def _connection(role: Role) -> Connection:
    connection = Connection(role)
    if role is Role.CLIENT:
        connection.send(REQUEST)
    return connection


def _drain(role: Role, pieces: list[bytes]) -> list[AnyMessage]:
    """Feed the pieces and the end; return the messages. Any exception but the two typed ones fails the test."""
    connection = _connection(role)
    messages: list[AnyMessage] = []
    try:
        for piece in [*pieces, b""]:
            connection.receive_data(piece)
            while (event := connection.next_event()) is not None:
                if event is CLOSED:
                    return messages
                messages.append(event)
                if role is Role.SERVER:
                    connection.send(ERROR)
                else:
                    connection.send(REQUEST)
            assert connection.bytes_wanted >= 0
    except (ProtocolError, TransportError):
        return messages
    return messages


@given(roles, st.binary(max_size=400))
def test_garbage(role: Role, data: bytes) -> None:
    assert _drain(role, [data]) == []


@given(roles, types, st.binary(max_size=300))
def test_garbage_behind_a_good_header(role: Role, message_type: int, body: bytes) -> None:
    assert _drain(role, [Header(message_type, len(body)).pack() + body]) == []


@pytest.mark.slow
@given(roles, types, cbor_values)
def test_any_cbor_behind_a_good_header(role: Role, message_type: int, value: object) -> None:
    body = cbor2.dumps(value)
    _drain(role, [Header(message_type, len(body)).pack() + body])


@pytest.mark.slow
@given(types, st.dictionaries(st.integers(1, 10), cbor_values, max_size=10))
def test_any_map_of_known_keys(message_type: int, fields: dict[int, object]) -> None:
    body = cbor2.dumps(fields, canonical=True)
    try:
        message = MESSAGES[message_type].from_body(body)
    except ProtocolError:
        return
    assert MESSAGES[message_type].from_body(message.body()) == message


@given(roles, st.data())
def test_one_flipped_bit(role: Role, data: st.DataObject) -> None:
    good = bytearray(SENT[role])
    position = data.draw(st.integers(0, len(good) * 8 - 1))
    good[position // 8] ^= 1 << position % 8
    _drain(role, [bytes(good)])


@pytest.mark.slow
def test_every_flipped_bit_of_a_header_and_of_all_structure() -> None:
    for role, sent in SENT.items():
        for position in range(min(len(sent), 400) * 8):
            changed = bytearray(sent)
            changed[position // 8] ^= 1 << position % 8
            _drain(role, [bytes(changed)])


@given(roles, st.data())
def test_cut_anywhere_the_pieces_give_the_same(role: Role, data: st.DataObject) -> None:
    sent = SENT[role]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sent) - 1), max_size=12)))
    pieces = [sent[start:end] for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)]
    assert _drain(role, pieces) == _drain(role, [sent])
    assert len(_drain(role, pieces)) == 3


words = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,7}){0,2}", fullmatch=True)
stages = st.lists(
    st.builds(ReportedStage, st.integers(1, 10), words, st.integers(0, 0xFFFFFFFF)),
    unique_by=lambda stage: stage.stage,
    max_size=10,
).map(lambda found: tuple(sorted(found, key=lambda stage: stage.stage)))
reports = st.builds(
    ReportRequest,
    chip_serial=st.binary(min_size=9, max_size=9),
    certificate_sha256=st.binary(min_size=32, max_size=32),
    challenge=st.binary(min_size=32, max_size=32),
    fate=words,
    stages=stages,
    finished=st.integers(0, 253402300799),
    signature=st.just(b"") | st.binary(min_size=64, max_size=64),
    contents_sha256=st.just(b"") | st.binary(min_size=32, max_size=32),
    code=st.just("") | words,
    request_number=st.integers(0, 0xFFFFFFFF),
)


@given(reports)
def test_any_report_crosses_the_wire(report: ReportRequest) -> None:
    server = Connection(Role.SERVER)
    server.receive_data(Connection(Role.CLIENT).send(report))
    assert server.next_event() == report


@given(reports, st.data())
def test_a_flipped_bit_in_a_report_is_another_report_or_refused(report: ReportRequest, data: st.DataObject) -> None:
    body = bytearray(report.body())
    position = data.draw(st.integers(0, len(body) * 8 - 1))
    body[position // 8] ^= 1 << position % 8
    try:
        changed = ReportRequest.from_body(bytes(body))
    except ProtocolError:
        return
    assert changed != report or bytes(body) != changed.body()  # the bit was in a key that is unknown now
