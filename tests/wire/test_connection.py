from __future__ import annotations

import dataclasses

import pytest

from atcaprov import AtcaProvError, Code, ProtocolError, TransportError, UsageError
from atcaprov.wire.connection import BUFFER_MAX, CLOSED, Connection, ConnectionState, Role
from atcaprov.wire.framing import HEADER_SIZE, Header
from atcaprov.wire.messages import MESSAGES, AnyMessage
from tests.support.wire_examples import ERROR, REPLY, REPORT, REPORT_REPLY, REQUEST


def _pair() -> tuple[Connection, Connection]:
    return Connection(Role.CLIENT), Connection(Role.SERVER)


def test_a_request_and_its_reply_cross_the_wire_twice() -> None:
    client, server = _pair()
    for answer in (REPLY, ERROR):
        server.receive_data(client.send(REQUEST))
        assert server.next_event() == REQUEST
        assert server.next_event() is None
        client.receive_data(server.send(answer))
        assert client.next_event() == answer
        assert client.state is server.state is ConnectionState.IDLE


def test_a_report_is_asked_and_answered_like_a_request() -> None:
    client, server = _pair()
    with pytest.raises(UsageError):
        server.send(REPORT_REPLY)
    for answer in (REPORT_REPLY, ERROR):
        server.receive_data(client.send(REPORT))
        assert server.next_event() == REPORT
        with pytest.raises(UsageError, match="reply due"):
            client.send(REPORT)
        client.receive_data(server.send(answer))
        assert client.next_event() == answer


def test_byte_by_byte_gives_the_same_and_nothing_early() -> None:
    client, server = _pair()
    data = client.send(REQUEST)
    for index in range(len(data)):
        assert server.next_event() is None
        server.receive_data(data[index : index + 1])
    assert server.next_event() == REQUEST


def test_bytes_wanted_asks_for_the_header_then_for_the_body() -> None:
    client, server = _pair()
    client.send(REQUEST)
    server.receive_data(Connection(Role.CLIENT).send(REQUEST))
    server.next_event()
    data = server.send(REPLY)
    asked = []
    position = 0
    while (event := client.next_event()) is None:
        wanted = client.bytes_wanted
        asked.append(wanted)
        client.receive_data(data[position : position + wanted])
        position += wanted
    assert event == REPLY
    assert asked == [HEADER_SIZE, len(data) - HEADER_SIZE]
    assert position == len(data)


def test_bytes_wanted_counts_down_when_fewer_came() -> None:
    server = Connection(Role.SERVER)
    data = Connection(Role.CLIENT).send(REQUEST)
    server.receive_data(data[:3])
    assert server.bytes_wanted == 5
    assert server.mid_message
    server.receive_data(data[3:8])
    assert server.bytes_wanted == 0
    assert server.next_event() is None
    server.receive_data(data[8:20])
    assert server.bytes_wanted == len(data) - 20


@pytest.mark.parametrize("size", range(1, 274))
def test_a_request_cut_at_any_length_is_a_transport_error(size: int) -> None:
    server = Connection(Role.SERVER)
    server.receive_data(Connection(Role.CLIENT).send(REQUEST)[:size])
    assert server.next_event() is None
    server.receive_data(b"")
    with pytest.raises(TransportError, match="within a message"):
        server.next_event()


def test_a_reply_cut_at_any_length_says_that_the_server_dropped() -> None:
    server = Connection(Role.SERVER)
    server.receive_data(Connection(Role.CLIENT).send(REQUEST))
    server.next_event()
    data = server.send(REPLY)
    for size in range(len(data)):
        client = Connection(Role.CLIENT)
        client.send(REQUEST)
        if size:
            client.receive_data(data[:size])
        client.receive_data(b"")
        with pytest.raises(TransportError) as caught:
            client.next_event()
        assert caught.value.code == Code.SERVER_DROPPED


def test_an_end_between_messages_is_clean() -> None:
    for connection in _pair():
        connection.receive_data(b"")
        assert connection.next_event() is CLOSED
        assert connection.bytes_wanted == 0


@pytest.mark.parametrize("message_type", sorted(set(range(256)) - set(MESSAGES)))
def test_an_unknown_type_is_refused_by_its_header_alone(message_type: int) -> None:
    for connection in _pair():
        connection.receive_data(Header(message_type, 10).pack())
        with pytest.raises(ProtocolError, match="unknown") as caught:
            connection.next_event()
        assert caught.value.code == Code.UNEXPECTED_MESSAGE


@pytest.mark.parametrize("message", [REQUEST, REPLY, REPORT, REPORT_REPLY, ERROR], ids=lambda m: type(m).__name__)
def test_a_body_above_its_bound_is_refused_by_its_header_alone(message: AnyMessage) -> None:
    connection = Connection(Role.SERVER if message in (REQUEST, REPORT) else Role.CLIENT)
    if connection.role is Role.CLIENT:
        connection.send(REQUEST)
    connection.receive_data(Header(message.TYPE, message.BODY_MAX).pack())
    assert connection.next_event() is None
    other = Connection(connection.role)
    if other.role is Role.CLIENT:
        other.send(REQUEST)
    other.receive_data(Header(message.TYPE, message.BODY_MAX + 1).pack())
    with pytest.raises(ProtocolError) as caught:
        other.next_event()
    assert caught.value.code == Code.FRAME_TOO_LARGE


def test_who_may_send_what() -> None:
    client, server = _pair()
    for wrong in (REPLY, ERROR):
        with pytest.raises(UsageError):
            client.send(wrong)
    with pytest.raises(UsageError):
        server.send(REPLY)
    client.send(REQUEST)
    with pytest.raises(UsageError, match="reply due"):
        client.send(REQUEST)


def test_messages_of_the_wrong_direction_are_refused() -> None:
    client, server = _pair()
    client.receive_data(Connection(Role.CLIENT).send(REQUEST))
    with pytest.raises(ProtocolError) as caught:
        client.next_event()
    assert caught.value.code == Code.UNEXPECTED_MESSAGE
    server.receive_data(server.send(ERROR))
    with pytest.raises(ProtocolError) as caught:
        server.next_event()
    assert caught.value.code == Code.UNEXPECTED_MESSAGE


def test_a_server_may_refuse_before_it_is_asked() -> None:
    client, server = _pair()
    client.receive_data(server.send(ERROR))
    assert client.next_event() == ERROR


def test_error_repeats_and_only_a_server_may_still_send_one() -> None:
    for connection in _pair():
        connection.receive_data(b"GET / HTTP/1.1\r\n\r\n")
        errors: list[AtcaProvError] = []
        for _ in range(2):
            with pytest.raises(ProtocolError) as caught:
                connection.next_event()
            errors.append(caught.value)
        assert errors[0] is errors[1]
        assert connection.bytes_wanted == 0
        if connection.role is Role.SERVER:
            assert connection.send(ERROR)
        else:
            with pytest.raises(UsageError):
                connection.send(REQUEST)


def test_buffered_bytes_are_limited() -> None:
    server = Connection(Role.SERVER)
    server.receive_data(bytes(BUFFER_MAX))
    with pytest.raises(ProtocolError) as caught:
        server.receive_data(b"1")
    assert caught.value.code == Code.FRAME_TOO_LARGE


def test_a_message_too_large_for_its_type_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Connection(Role.CLIENT)
    monkeypatch.setattr(type(REQUEST), "BODY_MAX", 265)
    with pytest.raises(UsageError, match="266 bytes"):
        client.send(dataclasses.replace(REQUEST))
    assert client.state is ConnectionState.IDLE
