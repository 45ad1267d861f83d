"""The number that tells which request an answer belongs to, with peers that know of it and peers that do not."""

from __future__ import annotations

from dataclasses import replace

import cbor2
import pytest

from atcaprov import Code, ProtocolError
from atcaprov.wire.connection import Connection, ConnectionState, Role
from atcaprov.wire.messages import AnyMessage
from tests.support.wire_examples import ERROR, REPLY, REPORT, REPORT_REPLY, REQUEST, SIGNER_REPLY, SIGNER_REQUEST

PAIRS = [
    *((REQUEST, REPLY), (SIGNER_REQUEST, SIGNER_REPLY), (REPORT, REPORT_REPLY)),
    *((request, ERROR) for request in (REQUEST, SIGNER_REQUEST, REPORT)),
]
pairs = pytest.mark.parametrize(("request_", "reply"), PAIRS, ids=lambda message: type(message).__name__)


def answer(request: bytes, reply: AnyMessage) -> bytes:
    """Return what a server puts on the wire for a reply to the bytes of a request."""
    server = Connection(Role.SERVER)
    server.receive_data(request)
    server.next_event()
    return server.send(reply)


@pairs
def test_the_server_echoes_the_number(request_: AnyMessage, reply: AnyMessage) -> None:
    client = Connection(Role.CLIENT)
    client.receive_data(answer(client.send(replace(request_, request_number=4294967295)), reply))
    assert client.next_event() == replace(reply, request_number=4294967295)


@pairs
def test_a_request_without_a_number_is_answered_as_before(request_: AnyMessage, reply: AnyMessage) -> None:
    data = answer(Connection(Role.CLIENT).send(request_), reply)
    assert data[8:] == reply.body()


@pairs
def test_a_late_answer_is_refused(request_: AnyMessage, reply: AnyMessage) -> None:
    late = answer(Connection(Role.CLIENT).send(replace(request_, request_number=1)), reply)
    client = Connection(Role.CLIENT)
    client.send(replace(request_, request_number=2))
    client.receive_data(late)
    with pytest.raises(ProtocolError, match="answers another request") as refused:
        client.next_event()
    assert refused.value.code == Code.UNEXPECTED_MESSAGE
    assert client.state is ConnectionState.BROKEN


@pairs
def test_an_answer_without_a_number_is_accepted(request_: AnyMessage, reply: AnyMessage) -> None:
    """An older server ignores the key that it does not know."""
    old = answer(Connection(Role.CLIENT).send(request_), reply)
    client = Connection(Role.CLIENT)
    client.send(replace(request_, request_number=7))
    client.receive_data(old)
    assert client.next_event() == reply


def test_the_number_of_one_request_is_not_put_into_the_answer_to_the_next() -> None:
    server, client = Connection(Role.SERVER), Connection(Role.CLIENT)
    for number in (5, 0, 6):
        server.receive_data(client.send(replace(SIGNER_REQUEST, request_number=number)))
        server.next_event()
        client.receive_data(server.send(SIGNER_REPLY))
        assert client.next_event() == replace(SIGNER_REPLY, request_number=number)


@pytest.mark.parametrize("number", [-1, 1 << 32, 1.5, True, "1", None])
def test_a_value_that_is_not_a_number_is_refused(number: object) -> None:
    body = cbor2.dumps({**cbor2.loads(SIGNER_REQUEST.body()), 3: number}, canonical=True)
    with pytest.raises(ProtocolError):
        type(SIGNER_REQUEST).from_body(body)
