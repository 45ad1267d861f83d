"""Connections of clients without sockets, with a clock that the test moves."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.wire.connection import BUFFER_MAX, Connection, Role
from atcaprov.wire.framing import Header
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.transport.client_connection import NEVER
from tests.provisioning_server.transport.connection_end import LIMITS, End
from tests.support.stations import tls_contexts
from tests.support.wire_examples import ERROR, REPLY, REQUEST, SIGNER_REPLY, SIGNER_REQUEST

NewEnd = Callable[..., End]


@pytest.fixture(params=["plain", "tls"])
def new_end(request: pytest.FixtureRequest) -> NewEnd:
    """Return what connects: all that holds for plain connections holds for those with TLS."""
    contexts = tls_contexts() if request.param == "tls" else None
    return functools.partial(End, contexts=contexts)


@pytest.fixture
def end(new_end: NewEnd) -> End:
    return new_end()


def test_each_request_is_submitted_and_its_reply_written(end: End) -> None:
    for message, reply in ((SIGNER_REQUEST, SIGNER_REPLY), (REQUEST, REPLY), (REQUEST, ERROR)):
        end.request(message)
        assert end.replies() == []
        assert end.owner.answer(reply) == message
        assert end.replies() == [reply]
    assert not end.transport.closing


def test_each_message_is_logged_by_its_name_alone(end: End, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "provisioning_server"):
        end.request(REQUEST)
        end.owner.answer(REPLY)
    assert caplog.messages == [
        "CertificatesRequest from 127.0.0.1:40000.",
        "CertificatesReply to 127.0.0.1:40000.",
    ]


def test_a_request_may_come_byte_by_byte(end: End) -> None:
    data = end.client.send(REQUEST)
    for index in range(len(data)):
        assert not end.owner.open
        end.receive(data[index : index + 1])
    assert end.owner.answer(REPLY) == REQUEST


def test_a_request_sent_ahead_waits_for_the_reply_before_it(end: End) -> None:
    data = end.client.send(REQUEST)
    end.receive(data + data)
    assert len(end.owner.open) == 1
    end.owner.answer(REPLY)
    assert len(end.owner.open) == 1
    end.owner.answer(ERROR)


def test_too_much_sent_ahead_is_refused(end: End) -> None:
    end.request()
    for _ in range(BUFFER_MAX // 4096 + 2):
        end.receive(bytes(4096))
    (reply,) = end.replies()
    assert isinstance(reply, ErrorReply)
    assert reply.code == "frame-too-large"
    assert end.transport.ended
    end.owner.answer(REPLY)
    assert end.replies() == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "bad-frame"),
        (Header(0x33, 0).pack(), "unexpected-message"),
        (Header(0x81, 10).pack(), "unexpected-message"),
        (Header(0x01, 100_000).pack(), "frame-too-large"),
        (Header(0x01, 3).pack() + b"\xff\xff\xff", "protocol"),
    ],
)
def test_garbage_is_answered_with_its_reason_and_closed(end: End, data: bytes, code: str) -> None:
    end.client.send(REQUEST)
    end.receive(data)
    (reply,) = end.replies()
    assert isinstance(reply, ErrorReply)
    assert reply.code == code
    assert end.transport.ended
    assert not end.transport.closing, "closing now could take the reply away from the client"
    end.receive(Connection(Role.CLIENT).send(REQUEST))
    assert not end.owner.open
    assert end.connection.eof_received()
    assert end.transport.closing
    end.transport.lose()
    assert end.owner.reasons[0] != ""


def test_client_may_close_between_messages(end: End) -> None:
    assert end.connection.eof_received()
    assert end.transport.closing
    end.transport.lose()
    assert end.owner.reasons == [""]


def test_a_client_that_closes_within_a_message_is_noted(end: End) -> None:
    end.receive(end.client.send(REQUEST)[:100])
    end.connection.eof_received()
    assert end.transport.closing
    end.transport.lose()
    assert "within a message" in end.owner.reasons[0]


def test_a_client_that_sends_no_more_still_gets_its_reply(end: End) -> None:
    end.request()
    end.connection.eof_received()
    assert not end.transport.closing
    end.owner.answer(REPLY)
    assert end.replies() == [REPLY]
    assert end.transport.closing


def test_a_reply_for_a_client_that_is_gone_is_dropped(end: End) -> None:
    end.request()
    end.transport.lose(ConnectionResetError("reset"))
    end.owner.answer(REPLY)
    assert end.transport.written == b""
    assert "reset" in end.owner.reasons[0]


def test_refused_connection_gets_the_reason(new_end: NewEnd) -> None:
    end = new_end(refuse=rejections.BUSY)
    assert end.replies() == [rejections.BUSY]
    assert end.transport.ended
    end.receive(Connection(Role.CLIENT).send(REQUEST))
    assert not end.owner.open
    end.connection.late()
    assert end.transport.aborted


def test_refused_connection_gets_no_second_reply_at_stop(new_end: NewEnd) -> None:
    end = new_end(refuse=rejections.BUSY)
    end.connection.stop()
    assert end.replies() == [rejections.BUSY]
    assert end.transport.closing


def test_deadline_follows_what_the_client_has_to_send(end: End) -> None:
    assert end.connection.deadline == 1000 + LIMITS.first_message_seconds
    data = end.client.send(REQUEST)
    end.receive(data[:1])
    assert end.connection.deadline == 1000 + LIMITS.header_seconds
    end.owner.time += 2
    end.receive(data[1:5])
    assert end.connection.deadline == 1000 + LIMITS.header_seconds, "a byte now and then does not buy time"
    end.receive(data[5:8])
    assert end.connection.deadline == 1002 + LIMITS.body_seconds
    end.owner.time += 3
    end.receive(data[8:20])
    assert end.connection.deadline == 1002 + LIMITS.body_seconds, "nor do some"
    end.receive(data[20:])
    assert end.connection.deadline == NEVER
    end.owner.answer(REPLY)
    assert end.connection.deadline == 1005 + LIMITS.idle_seconds
    end.receive(data[:1])
    assert end.connection.deadline == 1005 + LIMITS.header_seconds
    end.receive(data[1:100])
    assert end.connection.deadline == 1005 + LIMITS.body_seconds


def test_first_message_has_to_come_in_time_however_late_it_begins(end: End) -> None:
    data = end.client.send(REQUEST)
    end.owner.time += LIMITS.first_message_seconds - 1
    for piece in (data[:1], data[1:9]):
        end.receive(piece)
        assert end.connection.deadline == 1000 + LIMITS.first_message_seconds
    end.receive(data[9:])
    assert end.connection.deadline == NEVER


def test_a_part_of_a_message_that_came_ahead_starts_its_time_with_the_reply(end: End) -> None:
    data = end.client.send(REQUEST)
    end.receive(data + data[:4])
    assert end.connection.deadline == NEVER
    end.owner.answer(REPLY)
    assert end.connection.deadline == 1000 + LIMITS.header_seconds
    end.receive(data[4:10])
    assert end.connection.deadline == 1000 + LIMITS.body_seconds


def test_late_client_is_refused_with_a_reason(end: End) -> None:
    end.connection.late()
    assert end.replies() == [rejections.IDLE]
    assert end.transport.ended
    assert end.connection.deadline == 1000 + LIMITS.linger_seconds
    end.connection.late()
    assert end.transport.aborted


def test_client_that_reads_no_replies_is_cut(end: End) -> None:
    end.request()
    end.connection.pause_writing()
    end.owner.answer(REPLY)
    assert end.connection.deadline == 1000 + LIMITS.write_seconds
    end.replies()
    end.request()
    assert not end.owner.open
    end.connection.resume_writing()
    assert len(end.owner.open) == 1
    end.owner.answer(REPLY)
    end.connection.pause_writing()
    end.connection.late()
    assert end.transport.aborted
    end.transport.lose()
    assert end.owner.reasons == ["The client does not take its reply."]


def test_client_that_resets_while_it_is_refused_disturbs_no_one(end: End) -> None:
    end.transport.reset = True
    end.connection.dismiss(rejections.GAVE_WAY, in_silence=False)
    assert end.connection.leaving
    assert end.connection.deadline == 1000 + LIMITS.linger_seconds


def test_cut_connection_logs_why_and_takes_nothing_more(end: End) -> None:
    end.connection.cut("Too many.")
    assert end.transport.aborted
    end.request()
    assert (end.owner.open, end.transport.written) == ([], b"")
    end.transport.lose()
    assert end.owner.reasons == ["Too many."]


def test_a_client_that_has_ended_is_not_waited_for_when_it_is_refused(end: End) -> None:
    end.receive(end.client.send(REQUEST) + b"garbage" * 10)
    end.connection.eof_received()
    end.owner.answer(REPLY)
    first, second = end.replies()
    assert first == REPLY
    assert isinstance(second, ErrorReply)
    assert end.transport.closing
    assert not end.transport.ended


def test_stopping_closes_at_once_or_after_the_reply_that_is_due(end: End, new_end: NewEnd) -> None:
    busy = new_end()
    busy.request()
    for one in (end, busy):
        one.connection.stop()
    assert end.replies() == [rejections.STOPPING]
    assert end.transport.closing
    assert not busy.transport.closing
    busy.owner.answer(REPLY)
    assert busy.replies() == [REPLY]
    assert busy.transport.closing


_good = Connection(Role.CLIENT).send(REQUEST)
_pieces = st.lists(
    st.binary(max_size=60) | st.just(_good) | st.integers(0, len(_good)).map(lambda size: _good[:size]), max_size=8
)


@given(_pieces, st.lists(st.booleans(), min_size=8, max_size=8), st.booleans(), st.booleans())
def test_any_bytes_are_answered_awaited_or_refused(
    pieces: list[bytes], answers: list[bool], ends: bool, tls: bool
) -> None:
    end = End(contexts=tls_contexts() if tls else None)
    for piece, answer in zip(pieces, answers, strict=False):
        if piece and not end.transport.closing:
            end.receive(piece)
        if answer and end.owner.open:
            end.owner.answer(ERROR)
    if ends and not end.transport.closing:
        assert end.connection.eof_received()
    while end.owner.open:
        end.owner.answer(ERROR)
    assert end.transport.closing or not ends
    waiting = end.connection.deadline < NEVER
    assert waiting or end.transport.closing
