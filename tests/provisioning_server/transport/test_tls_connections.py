"""What TLS adds to a connection, without sockets: handshakes, broken records, ends, and who is admitted."""

from __future__ import annotations

import ssl
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from tests.provisioning_server.transport.connection_end import LIMITS, End
from tests.support.stations import tls_contexts
from tests.support.wire_examples import ENROL_REPLY, ENROL_REQUEST, REPLY, REQUEST

CLIENT_HELLO = 0x16


@pytest.fixture
def half_open() -> End:
    """A connection on which nothing was sent yet."""
    return End(contexts=tls_contexts(), shake_hands=False)


@pytest.fixture
def end() -> End:
    return End(contexts=tls_contexts())


def _hello(end: End) -> bytes:
    assert end.tls is not None
    return end.tls.handshake()


def test_handshake_that_dribbles_is_taken_within_its_time(half_open: End) -> None:
    end = half_open
    assert end.connection.in_handshake
    for byte in _hello(end):
        assert end.connection.deadline == 1000 + LIMITS.handshake_seconds
        end.owner.time += 0.001
        end.connection.data_received(bytes([byte]))
    end.shake_hands()
    assert not end.connection.in_handshake
    assert end.connection.station == "line-1"
    assert end.connection.deadline == 1000 + LIMITS.first_message_seconds
    end.request()
    end.owner.answer(REPLY)
    assert end.replies() == [REPLY]


@pytest.mark.parametrize("sent", [0, 1, 100])
def test_handshake_that_is_late_is_cut(half_open: End, sent: int) -> None:
    if sent:
        half_open.connection.data_received(_hello(half_open)[:sent])
    half_open.connection.late()
    half_open.transport.lose()
    assert half_open.transport.aborted
    assert half_open.owner.reasons == ["The TLS handshake took too long."]


def test_handshake_longer_than_any_true_one_is_cut(half_open: End) -> None:
    endless = bytes.fromhex("160301 4000 01 00ffff".replace(" ", "")) + bytes(0x4000 - 4)
    for _ in range(LIMITS.handshake_bytes // len(endless) + 1):
        if not half_open.transport.closing:
            half_open.connection.data_received(endless)
    half_open.transport.lose()
    assert half_open.connection.leaving
    assert "TLS handshake" in half_open.owner.reasons[0]


def test_client_that_goes_within_the_handshake_is_noted(half_open: End) -> None:
    half_open.connection.data_received(_hello(half_open))
    assert half_open.connection.eof_received()
    half_open.transport.lose()
    assert half_open.owner.reasons == ["The client closed the connection within the TLS handshake."]


def test_client_without_tls_is_told_in_its_own_protocol(half_open: End) -> None:
    half_open.connection.data_received(half_open.client.send(REQUEST))
    half_open.client.receive_data(half_open.written())
    reply = half_open.client.next_event()
    assert isinstance(reply, ErrorReply)
    assert reply.code == "tls-required"
    assert half_open.transport.ended
    assert not half_open.owner.open


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x80\x2e\x01\x00\x02", b"\x00" * 50, b"SSH-2.0-x\r\n"])
def test_client_that_speaks_something_else_gets_nothing(half_open: End, data: bytes) -> None:
    half_open.connection.data_received(data)
    half_open.connection.eof_received()
    half_open.transport.lose()
    assert half_open.owner.reasons == ["The client does not speak TLS."]
    assert half_open.written() == b""


def test_connection_refused_before_its_handshake_is_told_after_it() -> None:
    end = End(contexts=tls_contexts(), refuse=rejections.BUSY, shake_hands=False)
    assert end.connection.leaving
    assert end.connection.deadline == 1000 + LIMITS.linger_seconds
    end.shake_hands()
    assert end.replies() == [rejections.BUSY]
    end.request()
    assert not end.owner.open


def test_stop_within_a_handshake_closes_at_once(half_open: End) -> None:
    half_open.connection.data_received(_hello(half_open))
    half_open.connection.stop()
    assert half_open.transport.closing


def test_end_of_the_connection_is_said_by_both_sides(end: End) -> None:
    assert end.tls is not None
    end.request()
    with pytest.raises(ssl.SSLWantReadError):
        end.tls.tls.unwrap()
    end.connection.data_received(end.tls.outgoing.read())
    assert not end.transport.closing, "its request is open"
    end.owner.answer(REPLY)
    assert end.transport.closing
    end.tls.incoming.write(end.written())
    assert end.tls.tls.read(1 << 16), "the reply"
    end.tls.tls.unwrap()
    end.transport.lose()
    assert end.owner.reasons == [""]


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b"\x17\x03\x03\xff\xff" + bytes(0xFFFF), id="oversized"),
        pytest.param(b"\x17\x03\x03\x00\x20" + bytes(32), id="bad tag"),
        pytest.param(b"\x80\x00\x00\x00\x00", id="no record"),
        pytest.param(b"\x16\x03\x03\x00\x04\x01\x00\x00\x00", id="hello in the clear"),
    ],
)
def test_broken_record_is_answered_with_an_alert_and_closed(end: End, record: bytes) -> None:
    assert end.tls is not None
    end.connection.data_received(record)
    end.tls.incoming.write(end.written())
    with pytest.raises(ssl.SSLError, match="alert"):
        end.tls.tls.read(1)
    assert end.connection.leaving
    end.connection.eof_received()
    end.transport.lose()
    assert end.owner.reasons[0].startswith("The TLS connection failed: ")


def test_replayed_record_breaks_the_connection_and_asks_nothing(end: End) -> None:
    assert end.tls is not None
    record = end.tls.encrypt(end.client.send(REQUEST))
    end.connection.data_received(record)
    end.owner.answer(REPLY)
    end.connection.data_received(record)
    assert end.connection.leaving
    assert not end.owner.open


def test_recorded_connection_replayed_whole_asks_nothing(half_open: End) -> None:
    true = End(contexts=tls_contexts(), shake_hands=False)
    assert true.tls is not None
    tap: list[bytes] = []
    while data := true.tls.handshake(true.written()):
        tap.append(data)
        true.connection.data_received(data)
    tap.append(true.tls.encrypt(true.client.send(REQUEST)))
    true.connection.data_received(tap[-1])
    assert len(true.owner.open) == 1
    for data in tap:
        half_open.connection.data_received(data)
    assert half_open.connection.leaving
    assert not half_open.owner.open


def test_client_that_makes_the_server_write_and_does_not_read_is_not_read_either(end: End) -> None:
    end.connection.pause_writing()
    assert end.transport.reading_paused
    assert end.connection.deadline == 1000 + LIMITS.write_seconds
    end.connection.resume_writing()
    assert not end.transport.reading_paused


@pytest.mark.parametrize("refusal", [rejections.STATION_MISSING, rejections.station_removed("line-1")])
def test_who_is_not_admitted_may_ask_to_be_enrolled_and_nothing_else(refusal: ErrorReply) -> None:
    end = End(contexts=tls_contexts(), shake_hands=False)
    end.owner.admission = refusal
    end.shake_hands()
    assert end.connection.station == ""
    end.request(ENROL_REQUEST)
    assert end.owner.answer(ENROL_REPLY) == ENROL_REQUEST
    assert end.replies() == [ENROL_REPLY]
    end.request(REQUEST)
    assert not end.owner.open
    assert end.replies() == [refusal]
    assert end.transport.ended


def test_who_is_not_admitted_may_not_renew() -> None:
    end = End(contexts=tls_contexts())
    end.owner.admission = refusal = rejections.station_removed("line-1")
    end.request(replace(ENROL_REQUEST, token=b""))
    assert end.replies() == [refusal]


def test_removal_ends_an_idle_connection(end: End) -> None:
    removed = rejections.station_removed("line-1")
    end.connection.check_admission()
    assert not end.connection.leaving
    end.owner.admission = removed
    end.connection.check_admission()
    assert end.replies() == [removed]
    assert end.connection.leaving


def test_removal_in_the_middle_of_a_request_takes_its_reply_away(end: End) -> None:
    removed = rejections.station_removed("line-1")
    end.request()
    end.owner.admission = removed
    end.connection.check_admission()
    assert end.replies() == [removed]
    end.owner.answer(REPLY)
    assert end.replies() == []


def test_removal_takes_the_reply_of_a_station_that_was_admitted_after_its_handshake() -> None:
    end = End(contexts=tls_contexts(), shake_hands=False)
    end.owner.admission = rejections.STATION_UNKNOWN
    end.shake_hands()
    end.owner.admission = "line-1"
    end.request()
    end.owner.admission = removed = rejections.station_removed("line-1")
    end.owner.answer(REPLY)
    assert end.replies() == [removed]


def test_removal_within_a_message_refuses_it_when_it_is_complete(end: End) -> None:
    data = end.client.send(REQUEST)
    end.receive(data[:50])
    end.owner.admission = removed = rejections.station_removed("line-1")
    end.receive(data[50:])
    assert end.replies() == [removed]
    assert not end.owner.open


@given(st.binary(min_size=1, max_size=300), st.booleans())
def test_any_first_bytes_are_awaited_or_refused(data: bytes, as_record: bool) -> None:
    end = End(contexts=tls_contexts(), shake_hands=False)
    head = bytes([CLIENT_HELLO, 3, 1]) + len(data).to_bytes(2, "big") if as_record else b""
    end.connection.data_received(head + data)
    end.connection.eof_received()
    assert end.transport.closing
    assert not end.owner.open


@given(st.data())
def test_client_hello_with_a_flipped_bit_never_raises(data: st.DataObject) -> None:
    end = End(contexts=tls_contexts(), shake_hands=False)
    hello = bytearray(_hello(end))
    place = data.draw(st.integers(0, len(hello) * 8 - 1))
    hello[place // 8] ^= 1 << place % 8
    end.connection.data_received(bytes(hello))
    end.connection.eof_received()
    assert end.transport.closing
    assert not end.owner.open


@given(st.data())
def test_record_with_a_flipped_bit_asks_nothing(data: st.DataObject) -> None:
    end = End(contexts=tls_contexts())
    assert end.tls is not None
    record = bytearray(end.tls.encrypt(Connection(Role.CLIENT).send(REQUEST)))
    place = data.draw(st.integers(0, len(record) * 8 - 1))
    record[place // 8] ^= 1 << place % 8
    end.connection.data_received(bytes(record))
    end.connection.eof_received()
    assert not end.owner.open
