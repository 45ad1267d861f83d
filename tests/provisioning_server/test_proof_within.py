"""`--proof-within`: what is not proven in time is warned about, shown on the page and by the health check."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from provisioning_server.cli import command
from provisioning_server.issuing.issuance import issue
from provisioning_server.ledger.changes import Changes, Issued
from tests.support.in_memory_signer import MemorySigner, SigningKey
from tests.support.ledgers import ledger_in
from tests.support.programs import run_in_process
from tests.support.raw_http_client import Visitor
from tests.support.reports import Product
from tests.support.server import WireClient, server_program
from tests.support.server_parts import chip_serial
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow


def issued_two_days_ago(data: Path) -> Product:
    """Put an unproven certificate into the ledger of a data folder."""
    signer, key, challenge = MemorySigner(), SigningKey(), bytes(range(32))
    record = issue(signer, key.public_key, chip_serial(1), datetime.now(UTC) - timedelta(days=2))
    with contextlib.closing(ledger_in(data)) as ledger:
        ledger.commit(Changes(documents=[signer.documents], events=[Issued(record, challenge)]))
    return Product(key, chip_serial(1), record.certificate, challenge)


def health(visitor: Visitor) -> tuple[int, str, str]:
    reply = visitor.ask("GET", "/health")
    found = json.loads(reply.text)
    return reply.status, found["status"], found["code"]


def test_late_proof_is_yellow_and_stops_nothing(tmp_path: Path) -> None:
    product = issued_two_days_ago(tmp_path / "data")
    signer = make_signer_folder(tmp_path)
    options = ("--signer", signer.path, "--data", tmp_path / "data", "--web", 0, "--proof-within")
    with server_program(*options, "24h") as server:
        address = server.address()
        line = server.wait_for("not proven after")
        assert f"1 certificate is not proven after 1d, that of Device ({product.chip.hex().upper()})" in line
        visitor = Visitor(tmp_path / "data")
        assert health(visitor) == (200, "degraded", "proof-overdue")
        visitor.log_in()
        page = visitor.ask("GET", "/signers").text
        assert "Not proven in time" in page
        assert "1 of 1 ready" in page
        with WireClient(address) as client:
            assert type(client.ask(product.report())).__name__ == "ReportReply"
    listed = run_in_process(command, "--data", str(tmp_path / "data"), "ledger", "unproven", "--older-than", "24h")
    assert (listed.code, listed.out) == (0, "")


def test_without_the_option_nothing_is_late(tmp_path: Path) -> None:
    issued_two_days_ago(tmp_path / "data")
    signer = make_signer_folder(tmp_path)
    with server_program("--signer", signer.path, "--data", tmp_path / "data", "--web", 0) as server:
        server.wait_for("ready")
        assert health(Visitor(tmp_path / "data")) == (200, "ok", "")


def test_setting_is_read_from_a_file_and_refused_if_it_is_no_duration(tmp_path: Path) -> None:
    settings = tmp_path / "server.toml"
    settings.write_text('proof-within = "tomorrow"\n')
    refused = run_in_process(command, "--settings", str(settings))
    assert refused.code == 2
    assert "'tomorrow' is not a duration such as 30m, 24h or 7d." in refused.err
