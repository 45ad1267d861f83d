"""For any input a connection gives only a message, nothing yet, closed, or one of its two typed errors."""

from __future__ import annotations

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import ProtocolError, TransportError
from atcaprov.wire.connection import CLOSED, Connection, Role
from atcaprov.wire.framing import Header
from atcaprov.wire.messages import MESSAGES, AnyMessage
from tests.support.wire_examples import ERROR, REPLY, REQUEST, SIGNER_REPLY, SIGNER_REQUEST

SENT = {
    Role.SERVER: b"".join(Connection(Role.CLIENT).send(request) for request in (SIGNER_REQUEST, REQUEST, REQUEST)),
    Role.CLIENT: b"".join(Header(m.TYPE, len(m.body())).pack() + m.body() for m in (SIGNER_REPLY, REPLY, ERROR)),
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
@given(types, st.dictionaries(st.integers(1, 9), cbor_values, max_size=9))
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
