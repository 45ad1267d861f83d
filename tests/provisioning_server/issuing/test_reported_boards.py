"""Reports at the authority: written with the rest of a step, acknowledged after it, with a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from atcaprov import AtcaProvError, Code
from atcaprov.wire.messages import CertificatesReply, ErrorReply, ReportReply, ReportRequest
from provisioning_server.issuing import certification
from provisioning_server.ledger.changes import Changes
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import Committed
from tests.support.in_memory_signer import MemorySigner, SigningKey
from tests.support.issuing_without_sockets import IssuingLine
from tests.support.reports import Product
from tests.support.server import PATIENCE
from tests.support.server_parts import chip_serial, request


def certified(line: IssuingLine, signer: MemorySigner, number: int = 1, key: SigningKey | None = None) -> Product:
    key = key or SigningKey()
    reply = line.ask(request(signer, number, key=key.public_key)).result(PATIENCE)
    assert isinstance(reply, CertificatesReply), reply
    return Product(key, chip_serial(number), reply.device_certificate, reply.challenge)


def told(line: IssuingLine, report: ReportRequest) -> Any:
    return line.ask(report, "192.0.2.7:40312").result(PATIENCE)


def proven(line: IssuingLine, number: int = 1) -> bool:
    (stored,) = line.ledger.known([chip_serial(number)], []).of_chip(chip_serial(number))
    return stored.proven is not None


def test_report_is_acknowledged_with_a_checkpoint_that_covers_it(tmp_path: Path) -> None:
    signer = MemorySigner()
    sizes: list[int] = []

    def checkpoint() -> bytes:
        sizes.append(line.ledger.head().size)
        return b"a signed note"

    with IssuingLine(tmp_path, [signer], checkpoint=checkpoint) as line:
        product = certified(line, signer)
        assert not proven(line)
        assert told(line, product.report()) == ReportReply(True, b"a signed note")
        assert proven(line)
        assert sizes == [2]


def test_report_is_recorded_although_no_checkpoint_can_be_signed(tmp_path: Path) -> None:
    def checkpoint() -> bytes:
        raise AtcaProvError("The chip of the log key is gone.")

    signer = MemorySigner()
    with IssuingLine(tmp_path, [signer], checkpoint=checkpoint) as line:
        assert told(line, certified(line, signer).report()) == ReportReply(True)
        assert any("The chip of the log key is gone." in text for text in line.log.lines)


def test_each_reply_has_a_challenge_of_its_own_and_each_can_be_answered(tmp_path: Path) -> None:
    signer, key = MemorySigner(), SigningKey()
    with IssuingLine(tmp_path, [signer]) as line:
        first, second = certified(line, signer, key=key), certified(line, signer, key=key)
        assert (first.certificate, len(first.challenge)) == (second.certificate, 32)
        assert first.challenge != second.challenge
        assert told(line, first.report(signed=False, fate="retry", code="device-no-reply")) == ReportReply(False)
        assert told(line, second.report()) == ReportReply(True)
        assert told(line, first.report(signed=False, fate="retry", code="device-no-reply")) == ReportReply(True)


def test_client_that_asks_again_and_again_gets_its_certificates_without_further_challenges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certification, "CHALLENGES_MAX", 2)
    signer, key = MemorySigner(), SigningKey()
    with IssuingLine(tmp_path, [signer]) as line:
        products = [certified(line, signer, key=key) for _ in range(5)]
        assert [len(product.challenge) for product in products] == [32, 32, 32, 0, 0]
        assert {product.certificate for product in products} == {products[0].certificate}
        assert told(line, products[2].report()) == ReportReply(True), "what was given is still answered"
        assert len(certified(line, signer, 2).challenge) == 32, "others are not held up"


def test_report_that_two_servers_get_at_the_same_moment_is_recorded_once_and_acknowledged_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between what the first server has looked up and its commit the other one records the same report."""
    signer = MemorySigner()
    real = SqlLedger.commit
    with IssuingLine(tmp_path, [signer]) as line, IssuingLine(tmp_path, [signer]) as other:
        report = certified(line, signer).report(fate="scrap", code="key-mismatch", signed=False)

        def commits(self: SqlLedger, changes: Changes) -> Committed:
            if self is line.ledger:
                assert told(other, report) == ReportReply(False)
            return real(self, changes)

        monkeypatch.setattr(SqlLedger, "commit", commits)
        assert told(line, report) == ReportReply(False)
        assert [entry.kind for entry in line.ledger.entries(0, 10)] == ["issued", "reported"]
        assert not any("reported" in text for text in line.log.lines), "the server that recorded it says so"
        assert any("is reported as scrap" in text for text in other.log.lines)


def test_report_that_cannot_be_written_is_not_acknowledged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: SqlLedger, changes: Changes) -> None:
        raise AtcaProvError("The disk is full.", code=Code.RECORDS_FAILED)

    signer = MemorySigner()
    with IssuingLine(tmp_path, [signer]) as line:
        product = certified(line, signer)
        with monkeypatch.context() as patch:
            patch.setattr(SqlLedger, "commit", fails)
            refused = told(line, product.report())
        assert isinstance(refused, ErrorReply)
        assert refused.code == Code.RECORDS_FAILED
        assert not proven(line)


def test_log_names_boards_that_are_not_good_and_refused_reports(tmp_path: Path) -> None:
    signer = MemorySigner()
    with IssuingLine(tmp_path, [signer]) as line:
        one, two = certified(line, signer, 1), certified(line, signer, 2)
        told(line, one.report())
        told(line, two.report(signed=False, fate="scrap", code="key-mismatch"))
        told(line, two.report())
        chips = [product.chip.hex().upper() for product in (one, two)]
        reported = [text for text in line.log.lines if "report" in text]
        assert reported == [
            f"info: Device ({chips[1]}) is reported as scrap, key-mismatch, by 192.0.2.7:40312.",
            f"warning: Report of Device ({chips[1]}) refused, report-differs, asked by 192.0.2.7:40312: Another report"
            " with this challenge is recorded already. The first one stands.",
        ]
