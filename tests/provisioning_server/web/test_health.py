"""The health check: green while something issues, red with a code otherwise; for everyone, and nothing secret."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from atcaprov import AtcaProvError, Code, durable_files
from atcaprov.web.address import WebAddress
from atcaprov.web.login_links import FILE_NAME
from atcaprov.wire.messages import CertificatesReply, ErrorReply
from provisioning_server import rejections
from provisioning_server.ledger.changes import Changes, ClockAccepted
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.ledger.sql.database import Row, Value
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.sql.sqlite_database import SqliteConnection
from provisioning_server.ledger.store import Committed
from provisioning_server.operations.standing_warnings import StandingWarnings, Subject
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.web.figures.ledger_reader import THREAD_NAME
from provisioning_server.web.health import HealthCheck, notice
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.raw_http_client import Visitor
from tests.support.server import ServerAddress, WireClient, running_server
from tests.support.server_parts import request


class Server:
    """What the check looks at."""

    def __init__(self, *signers: MemorySigner) -> None:
        self.registry = SignerRegistry(signers)
        self.trouble: ErrorReply | None = None
        self.trouble_of: dict[bytes, ErrorReply] = {}
        self.files = ""
        self.warnings = StandingWarnings()
        self.warnings.add(Code.SERVER_BUSY, Subject.STATIONS, lambda: [self.files], degrades=False)
        self.warnings.add(Code.FILE_UNWRITABLE, Subject.RECORDS, lambda: [self.files])
        self.warnings.add(Code.QUOTA_LOW, Subject.SIGNERS, lambda: [self.files])
        self.check = HealthCheck(self.registry, self._trouble, self.warnings.now)

    def _trouble(self, documents: SignerDocuments | None) -> ErrorReply | None:
        return self.trouble if documents is None else self.trouble_of.get(documents.signer_public_key)

    @property
    def found(self) -> tuple[int, str, str]:
        health = self.check.look()
        return health.http_status, health.status, health.code


def test_a_server_that_issues_is_green() -> None:
    server = Server(MemorySigner())
    assert server.found == (200, "ok", "")
    assert notice(server.check.look()) == ""


@pytest.mark.parametrize("trouble", [rejections.RECORDS_FAILED, rejections.DISK_FULL, rejections.LEDGER_BEHIND])
def test_what_stops_all_signers_is_red(trouble: ErrorReply) -> None:
    server = Server(MemorySigner())
    server.trouble, server.files = trouble, "No space left on device"
    assert server.found == (503, "failing", trouble.code)


def test_one_signer_that_issues_is_enough() -> None:
    waiting, excluded, ready = MemorySigner(password=b"secret"), MemorySigner(), MemorySigner()
    server = Server(waiting, excluded, ready)
    server.registry.exclude(excluded, rejections.QUOTA_USED_UP)
    assert server.found == (200, "ok", "")
    server.trouble_of[ready.documents.signer_public_key] = rejections.LEDGER_BEHIND
    assert server.found == (503, "failing", Code.SIGNER_NOT_READY)
    server.registry.remove(waiting)
    assert server.found == (503, "failing", Code.QUOTA_USED_UP)
    server.registry.remove(excluded)
    assert server.found == (503, "failing", rejections.LEDGER_BEHIND.code)
    server.registry.remove(ready)
    assert server.found == (503, "failing", Code.SIGNER_UNPLUGGED)


def test_files_that_cannot_be_written_are_told_and_leave_it_green() -> None:
    server = Server(MemorySigner())
    server.files = "No space left on device"
    assert server.found == (200, "degraded", Code.FILE_UNWRITABLE)
    assert "cannot be written" in notice(server.check.look())


@pytest.fixture
def signer() -> MemorySigner:
    return MemorySigner()


@dataclasses.dataclass
class Site:
    data: Path
    address: ServerAddress

    def ask(self, method: str = "GET") -> tuple[int, str, dict[str, str]]:
        """Ask for the health without a login."""
        page = urlsplit((self.data / FILE_NAME).read_text().strip())
        connection = http.client.HTTPConnection(page.netloc)
        connection.request(method, "/health")
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}

    @property
    def found(self) -> tuple[int, str, str]:
        status, text, _ = self.ask()
        health = json.loads(text)
        return status, health["status"], health["code"]


@pytest.fixture
def site(signer: MemorySigner, tmp_path: Path) -> Iterator[Site]:
    with running_server(signer, tmp_path, web=WebAddress("127.0.0.1", 0)) as address:
        yield Site(tmp_path, address)


def test_anyone_may_ask_over_http_and_sees_nothing_else(site: Site) -> None:
    status, text, headers = site.ask()
    assert (status, json.loads(text)) == (200, {"status": "ok", "code": ""})
    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"
    assert "set-cookie" not in headers
    assert site.ask("HEAD")[:2] == (200, "")
    assert site.ask("POST")[0] == 403, "no form of the page"


def test_the_first_error_of_the_ledger_makes_it_red_and_the_page_says_it(
    site: Site, signer: MemorySigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(ledger: SqlLedger, _: Changes) -> Committed:
        ledger.failed = True
        raise AtcaProvError("The ledger cannot be read or written: disk I/O error.", code=Code.RECORDS_FAILED)

    with WireClient(site.address) as wire:
        assert isinstance(wire.ask(request(signer)), CertificatesReply)
        monkeypatch.setattr(SqlLedger, "commit", fail)
        for number in (2, 1):
            refused = wire.ask(request(signer, number))
            assert isinstance(refused, ErrorReply)
            assert refused.code == Code.RECORDS_FAILED
    status, text, _ = site.ask()
    assert (status, json.loads(text)) == (503, {"status": "failing", "code": "records-failed"})
    visitor = Visitor(site.data)
    visitor.log_in()
    with visitor.events() as events:
        shown = next(events)
    assert shown["summary"].startswith("The ledger has failed: nothing is issued until the server is started again. ")
    assert shown["signers"][0]["headline"] == "Issues nothing"


def test_neither_health_nor_page_reads_what_grows_with_the_ledger(
    site: Site, signer: MemorySigner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WireClient(site.address) as wire:
        assert isinstance(wire.ask(request(signer)), CertificatesReply)
    visitor = Visitor(site.data)
    visitor.log_in()
    statements: list[str] = []
    real = SqliteConnection.rows

    def rows(self: SqliteConnection, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        if not threading.current_thread().name.startswith(THREAD_NAME):  # its bounds: ledger/test_certificate_tables.py
            statements.append(statement)
        return real(self, statement, values)

    monkeypatch.setattr(SqliteConnection, "rows", rows)
    for _ in range(3):
        assert site.ask()[0] == site.ask("HEAD")[0] == 200
    assert statements == []
    assert "signers" in visitor.ask("GET", "/signers").text
    with visitor.events() as events:
        next(events)
    assert statements, "the page shows what a signer has issued"
    assert {each.partition(" FROM ")[2] for each in statements} == {"signers WHERE signer_serial = ?"}


def test_full_disk_is_seen_from_outside(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable_files, "free_bytes", lambda _: 1000)
    assert site.found == (503, "failing", "disk-full")
    monkeypatch.undo()
    assert site.found == (200, "ok", "")


def test_wrong_clock_is_seen_from_outside(signer: MemorySigner, tmp_path: Path) -> None:
    with contextlib.closing(open_ledger(tmp_path / "ledger.sqlite3", NOW)) as ledger:
        ledger.commit(Changes(events=[ClockAccepted(NOW + timedelta(days=36500), NOW, "it is the future")]))
    with running_server(signer, tmp_path, web=WebAddress("127.0.0.1", 0)) as address:
        assert Site(tmp_path, address).found == (503, "failing", "server-clock")


@pytest.mark.slow
def test_older_ledger_is_seen_from_outside(signer: MemorySigner, tmp_path: Path) -> None:
    for number in (1, 2):
        with running_server(signer, tmp_path) as address, WireClient(address) as wire:
            assert isinstance(wire.ask(request(signer, number)), CertificatesReply)
        if number == 1:
            shutil.copy(tmp_path / "ledger.sqlite3", tmp_path / "older")
    (tmp_path / "older").replace(tmp_path / "ledger.sqlite3")
    shutil.rmtree(tmp_path / "logs")  # else the signing logs show it, and nothing starts
    shutil.rmtree(tmp_path / "certs")
    with running_server(signer, tmp_path, web=WebAddress("127.0.0.1", 0)) as address:
        assert Site(tmp_path, address).found == (503, "failing", "ledger-behind")
