"""Client and server as programs: certificates are issued, then proven, over kills of both, replays and old programs."""

from __future__ import annotations

import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest

from atcaprov import BoardReport, Device, Profile, Provisioned, Provisioner, Stage, StageStatus
from atcaprov.provisioning.server_access import ServerAccess
from atcaprov.wire.framing import HEADER_SIZE, Header
from atcaprov.wire.messages import ErrorReply, MessageType, ReportReply, ReportRequest
from atcaprov.wire.server_place import ServerPlace
from provisioning_client.cli import command as provisioning_client
from provisioning_client.console_output import ConsoleOutput
from provisioning_client.disk_room import DiskRoom
from provisioning_client.report_spool import ReportSpool
from provisioning_client.user_functions import ClientFunctions
from provisioning_server.cli import command as provisioning_server
from signer_module.on_files.signer_folder import SignerFolder
from tests.support.older_programs import read_as_before, recorded
from tests.support.programs import program, run_in_process
from tests.support.scripted_hal import ScriptedHal
from tests.support.server import PATIENCE, ServerAddress, ServerProgram, WireClient, server_program
from tests.support.signer_folders import make_signer_folder

pytestmark = pytest.mark.slow


class Line:
    """A server's data folder and signer, and stations with a reports folder each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.signer: SignerFolder = make_signer_folder(folder)
        self.certinfo = folder / "certinfo.c"
        self.certinfo.write_text(self.signer.cert_info().to_c())

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @contextmanager
    def server(self) -> Iterator[tuple[ServerProgram, ServerAddress]]:
        with server_program("--signer", self.folder / "signer", "--data", self.data) as server:
            address = server.address()
            server.wait_for("ready")
            yield server, address

    def words(self, address: ServerAddress, *words: object, reports: str = "reports") -> list[str]:
        station = ("--certinfo", self.certinfo, "--host", address.host, "--port", address.port)
        return list(map(str, (*station, "--reports", self.folder / reports, "--auto", "--json", *words)))

    def client(self, address: ServerAddress, *words: object, **options: Any) -> list[dict[str, Any]]:
        ended = run_in_process(provisioning_client, *self.words(address, *words, **options))
        assert ended.code == 0, ended
        return [json.loads(line) for line in ended.out.splitlines()]

    def chip(self, name: str) -> tuple[str, str]:
        return "--device", f"emulator:{self.folder / name}.json"

    def ledger(self, *words: str) -> list[dict[str, Any]]:
        ended = run_in_process(provisioning_server, "--data", str(self.data), "ledger", *words, "--json")
        assert ended.code == 0, ended
        return [json.loads(line) for line in ended.out.splitlines()]

    def entries(self) -> int:
        return int(self.ledger("show")[0]["entries"])

    def report(self, number: int = 0, reports: str = "reports") -> ReportRequest:
        """Return a report that was recorded, as the station keeps it."""
        kept = sorted((self.folder / reports / "recorded").glob("*.json"))
        return BoardReport.from_bytes(kept[number].read_bytes()).request

    def waiting(self, reports: str = "reports") -> int:
        return len(list((self.folder / reports).glob("*.json")))


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def _reports(events: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    return [(event["status"], event["proven"]) for event in events if event["event"] == "report"]


def test_certificates_of_two_boards_are_issued_then_proven(line: Line) -> None:
    with line.server() as (_, address):
        events = line.client(address, *line.chip("one"), *line.chip("two"))
        assert _reports(events) == [("recorded", True)] * 2
        assert [(each["fate"], each["proven"] is not None) for each in line.ledger("search")] == [("good", True)] * 2
        assert line.ledger("unproven") == []
    assert line.waiting() == 0


def test_without_validation_a_certificate_stays_on_the_unproven_list_until_the_board_comes_again(line: Line) -> None:
    with line.server() as (_, address):
        assert _reports(line.client(address, *line.chip("one"), "--no-validate")) == [("recorded", False)]
        (unproven,) = line.ledger("unproven")
        assert (unproven["fate"], unproven["proven"]) == ("good", None)
        assert _reports(line.client(address, *line.chip("one"))) == [("recorded", True)]
        assert line.ledger("unproven") == []
    assert line.report(0).challenge != line.report(1).challenge


class KillingFunctions(ClientFunctions):
    """Kill the server when a stage begins."""

    def __init__(self, server: ServerProgram, stage: Stage, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._program = server
        self._stage = stage

    def notify(self, stage: Stage, status: StageStatus) -> None:
        if (stage, status) == (self._stage, StageStatus.START):
            self._program.process.kill()
            self._program.process.wait(PATIENCE)


def _provision(line: Line, server: ServerProgram, address: ServerAddress, stage: Stage) -> Provisioned:
    cert_info = line.signer.cert_info()
    spool = ReportSpool(line.folder / "reports", cert_info.root_public_key)
    output = ConsoleOutput(lambda _: None)
    functions = KillingFunctions(server, stage, ServerAccess((str(ServerPlace(*address)),)), output, DiskRoom(), spool)
    with closing(functions), Device(ScriptedHal()) as device:
        return Provisioner(Profile(), cert_info, functions).provision(device)


@pytest.mark.parametrize("stage", [Stage.CERTS_WRITE, Stage.VALIDATE_CERTS])
def test_server_killed_between_certificate_and_report_gets_it_after_its_restart(line: Line, stage: Stage) -> None:
    with line.server() as (server, address):
        chip = _provision(line, server, address, stage).serial_number
    assert line.waiting() == 1
    with line.server() as (_, address):
        (unproven,) = line.ledger("unproven")
        assert unproven["chip_serial"] == chip.hex().upper()
        assert _reports(line.client(address, *line.chip("next"))) == [("recorded", True)] * 2
        assert line.ledger("unproven") == []
    assert line.waiting() == 0


class HoldingProxy:
    """Stands between client and server and holds the first report back, or its answer."""

    def __init__(self, server: ServerAddress, *, answer: bool) -> None:
        self._server = server
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = ServerAddress(*self._listener.getsockname()[:2])
        self.holds = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._listener, suppress(OSError):
            client, _ = self._listener.accept()
            with client, socket.create_connection(self._server) as server:
                while (message := _message(client)) is not None:
                    is_report = message[3] == MessageType.REPORT_REQUEST
                    if is_report and not self._answer:
                        break
                    server.sendall(message)
                    answer = _message(server)
                    assert answer is not None
                    if is_report:
                        break
                    client.sendall(answer)
                self.holds.set()
                client.recv(1)  # until the client is killed

    def join(self) -> None:
        self._thread.join(PATIENCE)


def _message(connection: socket.socket) -> bytes | None:
    header = _exactly(connection, HEADER_SIZE)
    return None if header is None else header + (_exactly(connection, Header.parse(header).body_length) or b"")


def _exactly(connection: socket.socket, size: int) -> bytes | None:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            return None
        data += piece
    return data


@pytest.mark.parametrize("answer", [False, True], ids=["before it was sent", "before it was acknowledged"])
def test_client_killed_after_stage_10_proves_the_certificate_at_its_next_start(line: Line, answer: bool) -> None:
    with line.server() as (_, address):
        proxy = HoldingProxy(address, answer=answer)
        words = [program("provisioning-client"), *line.words(proxy.address, *line.chip("one"))]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL) as client:
            assert proxy.holds.wait(PATIENCE)
            client.kill()
        proxy.join()
        assert line.waiting() == 1
        before = line.entries()
        assert len(line.ledger("unproven")) == (0 if answer else 1)
        events = line.client(address, *line.chip("two"))
        assert _reports(events) == [("recorded", True)] * 2
        assert line.ledger("unproven") == []
        assert line.entries() == before + 2 + (0 if answer else 1)  # certificate and report of the second board


def test_replayed_report_is_acknowledged_and_recorded_once(line: Line) -> None:
    with line.server() as (_, address):
        line.client(address, *line.chip("one"))
        report, entries = line.report(), line.entries()
        for number in range(3):
            with WireClient(address) as client:
                answer = client.ask(replace(report, request_number=number))
                assert isinstance(answer, ReportReply)
                assert answer.proven
        assert line.entries() == entries


def test_reports_for_another_chip_challenge_or_certificate_are_refused(line: Line) -> None:
    with line.server() as (_, address):
        line.client(address, *line.chip("one"), *line.chip("two"), "--no-validate")
        one, two = line.report(0), line.report(1)
        cases = {
            "challenge-unknown": [
                replace(one, chip_serial=two.chip_serial),
                replace(one, challenge=two.challenge),
                replace(one, challenge=bytes(32)),
            ],
            "report-mismatch": [replace(one, certificate_sha256=two.certificate_sha256)],
            "report-differs": [
                replace(one, fate="scrap"),
                replace(one, signature=bytes(64), contents_sha256=bytes(32)),
            ],
        }
        entries = line.entries()
        with WireClient(address) as client:
            for code, reports in cases.items():
                for report in reports:
                    answer = client.ask(report)
                    assert isinstance(answer, ErrorReply)
                    assert answer.code == code
            assert isinstance(client.ask(one), ReportReply)
        assert line.entries() == entries
        assert len(line.ledger("unproven")) == 2


def test_garbage_in_any_field_is_refused_and_the_server_goes_on(line: Line) -> None:
    values: list[object] = [None, True, -1, 1 << 64, "x" * 900, b"", b"x" * 33, [], [[]], {1: {2: {3: [4]}}}]
    with line.server() as (_, address):
        line.client(address, *line.chip("one"))
        report, entries = line.report(), line.entries()
        fields = cbor2.loads(report.body())
        for key in (field.key for field in ReportRequest.FIELDS):
            for value in values:
                body = cbor2.dumps({**fields, key: value}, canonical=True)
                with WireClient(address) as client:
                    client.connection.send(report)
                    client.socket.sendall(Header(MessageType.REPORT_REQUEST, len(body)).pack() + body)
                    answer = client.receive()
                # A run may have no stages: that is another report with the same challenge.
                expected = ("report-differs",) if (key, value) == (8, []) else ("protocol", "frame-too-large")
                assert isinstance(answer, ErrorReply)
                assert answer.code in expected, (key, value)
        assert line.entries() == entries
        assert _reports(line.client(address, *line.chip("two"))) == [("recorded", True)]


def test_two_stations_at_once_share_a_folder_of_reports(line: Line) -> None:
    with line.server() as (_, address):
        clients = [
            subprocess.Popen(
                [program("provisioning-client"), *line.words(address, *line.chip(f"{name}1"), *line.chip(f"{name}2"))],
                stdout=subprocess.PIPE,
                text=True,
            )
            for name in ("a", "b")
        ]
        printed = [client.communicate(timeout=PATIENCE)[0] for client in clients]
        assert [client.returncode for client in clients] == [0, 0]
        assert sum(out.count('"event": "report"') for out in printed) >= 4
        assert len(line.ledger("search", "--proven")) == 4
    assert line.waiting() == 0


def test_older_client_is_served_and_its_certificate_stays_unproven(line: Line) -> None:
    """What an older client sent, with the key of this server's signer in it; the answers are read as it does."""
    with line.server() as (_, address), socket.create_connection(address, timeout=PATIENCE) as connection:
        requests = recorded("a blank chip", "client")
        old_key = next(read_as_before(request)[3] for request in requests if request[3] == 1)
        for request in requests:
            connection.sendall(request.replace(old_key, line.signer.public_key))
            answer = _message(connection) or b""
            known = read_as_before(answer)
            assert answer[3] == request[3] | 0x80
        assert 10 in cbor2.loads(answer[HEADER_SIZE:])
        assert 10 not in known
        (unproven,) = line.ledger("unproven")
        assert unproven["fate"] is None
