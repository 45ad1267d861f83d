"""Programs of before reports and those of today read each other's messages; recorded bytes are the judge."""

from __future__ import annotations

from dataclasses import replace

import pytest

from atcaprov import ProtocolError
from atcaprov.wire.connection import Connection, Role
from atcaprov.wire.messages import CertificatesReply, ErrorReply, SignerReply
from tests.support.older_programs import RefusedByOlderProgram, read_as_before, recorded
from tests.support.wire_examples import CONFIG_ZONE, REPLY, REPORT, REQUEST, SIGNER_REPLY, SIGNER_REQUEST

RUNS = ("a blank chip", "the same chip again", "a signer that the server has not")


@pytest.mark.parametrize("case", RUNS)
def test_what_older_clients_sent_is_read_and_means_the_same(case: str) -> None:
    server = Connection(Role.SERVER)
    for message in recorded(case, "client"):
        server.receive_data(message)
        request = server.next_event()
        assert request is not None
        assert Connection(Role.CLIENT).send(request) == message  # type: ignore[arg-type]
        server.send(ErrorReply("internal", "Only read here.", False))


@pytest.mark.parametrize("case", RUNS)
def test_what_older_servers_sent_is_read_and_has_no_challenge(case: str) -> None:
    client = Connection(Role.CLIENT)
    for asked, answer in zip(recorded(case, "client"), recorded(case, "server"), strict=True):
        number = read_as_before(asked)[3 if asked[3] == 2 else 6]
        client.send(replace(REQUEST, request_number=number))
        client.receive_data(answer)
        reply = client.next_event()
        assert isinstance(reply, CertificatesReply | SignerReply | ErrorReply)
        assert not isinstance(reply, CertificatesReply) or reply.challenge == b""
        assert not isinstance(reply, SignerReply) or reply.checkpoint == b""
        assert reply.body() == answer[8:]


@pytest.mark.parametrize("case", RUNS)
def test_the_reader_of_older_messages_reads_what_was_recorded(case: str) -> None:
    for message in (*recorded(case, "client"), *recorded(case, "server")):
        assert read_as_before(message)


def test_older_clients_ignore_challenge_and_checkpoint() -> None:
    new_reply, new_offer = replace(REPLY, challenge=bytes(32)), replace(SIGNER_REPLY, checkpoint=b"x" * 1024)
    assert read_as_before(_sent(new_reply)) == read_as_before(_sent(REPLY))
    assert read_as_before(_sent(new_offer)) == read_as_before(_sent(SIGNER_REPLY))
    assert len(_sent(new_reply)) == len(_sent(REPLY)) + 35


def _sent(reply: CertificatesReply | SignerReply) -> bytes:
    server = Connection(Role.SERVER)
    server.receive_data(Connection(Role.CLIENT).send(REQUEST))
    server.next_event()
    return server.send(reply)


def test_older_servers_read_requests_without_a_checkpoint() -> None:
    largest = replace(SIGNER_REQUEST, config_zone=CONFIG_ZONE, chip_serial=bytes(9), any_of_group=True)
    for request in (replace(largest, request_number=0xFFFFFFFF), replace(REQUEST, existing_only=True, revision=0x6003)):
        assert read_as_before(Connection(Role.CLIENT).send(request))


def test_older_servers_refuse_a_checkpoint_by_its_size_and_say_so() -> None:
    request = Connection(Role.CLIENT).send(
        replace(SIGNER_REQUEST, config_zone=CONFIG_ZONE, chip_serial=bytes(9), checkpoint=b"x" * 250)
    )
    with pytest.raises(RefusedByOlderProgram, match="bytes"):
        read_as_before(request)
    assert _error("a signer request of more than 256 bytes").code == "frame-too-large"


def test_older_servers_refuse_a_report_and_say_so() -> None:
    with pytest.raises(RefusedByOlderProgram, match="unknown type 03"):
        read_as_before(Connection(Role.CLIENT).send(REPORT))
    assert _error("a message of type 03").code == "unexpected-message"


def _error(case: str) -> ErrorReply:
    (answer,) = recorded(case, "server")
    client = Connection(Role.CLIENT)
    client.receive_data(answer)
    error = client.next_event()
    assert isinstance(error, ErrorReply)
    return error


def test_a_cut_in_a_recorded_message_is_never_another_message() -> None:
    (answer,) = (message for message in recorded("a blank chip", "server") if message[3] == 0x81)
    for size in range(8, len(answer) - 8, 97):
        with pytest.raises(ProtocolError):
            CertificatesReply.from_body(answer[8:size])
