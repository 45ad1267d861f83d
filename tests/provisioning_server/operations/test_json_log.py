"""`--log-format json` of the program: the id of a board's run goes from the client to every line and to the records."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from atcaprov import Board
from atcaprov.wire.messages import CertificatesReply, ErrorReply
from provisioning_server.cli import command
from provisioning_server.signers.software import SoftwareSigner
from tests.support.in_memory_signer import SigningKey
from tests.support.programs import run_in_process
from tests.support.reports import Product
from tests.support.server import WireClient, server_program
from tests.support.server_parts import chip_serial, request
from tests.support.signer_folders import make_signer_folder

RUN = bytes(range(16))


@pytest.mark.slow
def test_request_id_stands_in_every_line_about_a_run_and_in_the_records(tmp_path: Path) -> None:
    folder, data, key = make_signer_folder(tmp_path), tmp_path / "data", SigningKey()
    signer = SoftwareSigner.load(folder.path)
    asked = replace(request(signer, 1, key=key.public_key), request_id=RUN)
    options = ("--signer", folder.path, "--data", data, "--log-format", "json")
    with server_program(*options) as server:
        with WireClient(server.address()) as client:
            reply = client.ask(asked)
            assert isinstance(reply, CertificatesReply)
            assert isinstance(client.ask(asked), CertificatesReply)
            assert isinstance(client.ask(replace(asked, public_key=SigningKey().public_key)), ErrorReply)
            product = Product(key, chip_serial(1), reply.device_certificate, reply.challenge)
            client.ask(replace(product.report(fate=str(Board.SET_ASIDE), code="write-not-verified"), request_id=RUN))
        assert server.stop() == 0
    lines = [json.loads(line) for line in server.lines]
    about = {line["event"]: line for line in lines if "request_id" in line}
    assert set(about) == {"certified", "sent-again", "refused", "reported"}
    for line in about.values():
        assert line["request_id"] == RUN.hex()
        assert RUN.hex() in line["text"]
        assert line["chip"] == chip_serial(1).hex().upper()
        assert line["client"].startswith("127.0.0.1:")
    assert about["refused"]["code"] == "chip-has-other-key"
    assert about["reported"]["fate"] == Board.SET_ASIDE
    assert {line["event"] for line in lines} >= {"connected", "disconnected", "message"}
    (log,) = (data / "logs").glob("server-*.log")
    assert {line["text"] for line in lines} <= {line.split("] ", 1)[1] for line in log.read_text().splitlines()}
    found = run_in_process(command, "ledger", "search", "--data", str(data), "--json")
    assert json.loads(found.out)["request"] == RUN.hex()


def test_format_that_is_unknown_is_refused(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        assert run_in_process(command, "--log-format", "xml", "--signer", ".").code == 2
