"""Reports wait on the station until the server has recorded them: over lost answers, kills, damage and full disks."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Board, BoardReport, Code, Device, Profile, Provisioner, Stage, StageStatus, TcpClient, UsageError
from atcaprov.provisioning.server_access import ServerAccess
from atcaprov.provisioning.server_connection import EXCHANGE_SECONDS
from atcaprov.provisioning.tcp_client import REPORT_SECONDS
from atcaprov.wire.messages import AnyMessage, ErrorReply, ReportReply, ReportRequest
from atcaprov.wire.server_place import ServerPlace
from provisioning_client import report_delivery, report_spool
from provisioning_client.cli import command
from provisioning_client.console_output import ConsoleOutput
from provisioning_client.disk_room import DiskRoom
from provisioning_client.json_output import JsonOutput
from provisioning_client.report_delivery import ReportDelivery
from provisioning_client.report_spool import ReportSpool
from provisioning_client.user_functions import ClientFunctions
from tests.support.in_memory_server import MemoryCa
from tests.support.programs import Ended, program, run_in_process
from tests.support.reports import is_proof
from tests.support.scripted_hal import ScriptedHal
from tests.support.served_ca import ServedCa, served_ca
from tests.support.server import PATIENCE
from tests.support.wire_examples import REPORT


@pytest.fixture
def server() -> Iterator[ServedCa]:
    with served_ca(MemoryCa()) as served:
        yield served


@dataclass
class Station:
    """A folder with the cert info file, and one for the reports."""

    folder: Path
    server: ServedCa
    clients: list[TcpClient] = field(default_factory=list)

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def spool(self) -> ReportSpool:
        return ReportSpool(self.reports, self.server.authority.root_public_key)

    def words(self, *words: object) -> list[str]:
        certinfo = self.folder / "atcaprov_cert_info_0.c"
        certinfo.write_text(self.server.authority.cert_info.to_c())
        host, port = self.server.address
        options = ("--certinfo", certinfo, "--host", host, "--port", port, "--reports", self.reports, "--auto")
        return [
            *map(str, options),
            *(map(str, words) or ()),
            *([] if "--device" in words else ["--device", "emulator:"]),
        ]

    def run(self, *words: object) -> Ended:
        return run_in_process(command, *self.words(*words))

    def events(self, *words: object, code: int = 0) -> list[dict[str, Any]]:
        ended = self.run("--json", *words)
        assert ended.code == code, ended
        return [json.loads(line) for line in ended.out.splitlines()]

    def files(self) -> list[str]:
        """Return the endings of the files in the folder."""
        return sorted("".join(path.suffixes) for path in self.reports.iterdir() if path.is_file())

    def recorded(self) -> list[Path]:
        return sorted((self.reports / "recorded").glob("*.json"))

    def delivery(self, spool: ReportSpool | None = None) -> tuple[ReportDelivery, list[dict[str, Any]]]:
        """Return what a client delivers with, and the list of its events."""
        events: list[dict[str, Any]] = []
        self.clients.append(TcpClient(*self.server.address))
        output = JsonOutput(lambda line: events.append(json.loads(line)))
        return ReportDelivery(spool or self.spool, self.clients[-1], output), events


@pytest.fixture
def station(tmp_path: Path, server: ServedCa) -> Iterator[Station]:
    station = Station(tmp_path, server)
    yield station
    for client in station.clients:
        client.close()


def report(number: int = 1, **fields: Any) -> BoardReport:
    request = replace(REPORT, challenge=number.to_bytes(32, "little"), finished=REPORT.finished + number, **fields)
    return BoardReport(request, b"\x30\x00")


def _named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == name]


@pytest.mark.slow
def test_good_board_is_reported_proven_and_its_report_is_kept(station: Station) -> None:
    events = station.events()
    (told,) = _named(events, "report")
    (result,) = _named(events, "result")
    assert (told["sn"], told["status"], told["fate"], told["proven"]) == (result["sn"], "recorded", "good", True)
    assert events.index(told) > events.index(result)
    (request,) = station.server.authority.reported
    (file,) = station.recorded()
    kept = BoardReport.from_bytes(file.read_bytes())
    assert kept.request == replace(request, request_number=0)
    assert is_proof(kept.certificate, kept)
    assert station.files() == []
    assert file.stat().st_mode & 0o077 == 0 or os.name == "nt"


@pytest.mark.slow
def test_server_that_is_away_when_the_report_is_due_changes_no_fate(station: Station) -> None:
    station.server.cut = 0
    events = station.events()
    assert _named(events, "result")[0]["result"] == "pass"
    (waits,) = _named(events, "reports")
    assert (waits["waiting"], waits["code"]) == (1, "server-dropped")
    assert _named(events, "report") == []
    assert station.files() == [".json"]
    station.server.cut = None
    again = station.events()
    assert [event["status"] for event in _named(again, "report")] == ["recorded", "recorded"]
    assert again.index(_named(again, "report")[0]) < again.index(_named(again, "board")[0])
    first, repeated, _ = station.server.authority.reported
    assert replace(first, request_number=0) == replace(repeated, request_number=0)
    assert station.files() == []


@pytest.mark.slow
def test_console_says_in_one_line_that_a_report_waits(station: Station) -> None:
    station.server.cut = 0
    lines = station.run().out.splitlines()
    place = lines.index("Provisioning successful! Please remove board...")
    assert lines[place + 1].startswith("    1 report waits on this station until the server takes them.")
    station.server.cut = None
    assert not [line for line in station.run().out.splitlines() if "report" in line]


@pytest.mark.slow
def test_board_without_validation_is_not_proven(station: Station) -> None:
    assert _named(station.events("--no-validate"), "report")[0]["proven"] is False
    assert "certificate is not proven" in station.run("--no-validate").out
    assert station.server.authority.reported[0].signature == b""


@pytest.mark.slow
def test_failed_board_is_reported_with_its_code(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise UsageError("Full.", code=Code.DISK_FULL, board=Board.SET_ASIDE)

    monkeypatch.setattr("atcaprov.device.zones.data_zone.DataZone.lock", fails)
    events = station.events(code=2)
    assert _named(events, "report")[0]["fate"] == "set-aside"
    (request,) = station.server.authority.reported
    assert (request.code, request.signature, request.stages[-1].outcome) == ("disk-full", b"", "error")


@pytest.mark.slow
def test_server_without_challenges_gets_no_report(station: Station) -> None:
    station.server.authority.gives_challenges = False
    events = station.events()
    assert _named(events, "report") == _named(events, "reports") == []
    assert station.server.authority.reported == []
    assert station.files() == []


@pytest.mark.slow
def test_client_killed_before_the_answer_sends_the_report_at_its_next_start(station: Station) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def wait(request: ReportRequest) -> AnyMessage:
        asked.set()
        assert go_on.wait(PATIENCE)
        return ReportReply(True)

    station.server.answer = wait
    client = subprocess.Popen([program("provisioning-client"), *station.words()], stdout=subprocess.DEVNULL)
    with client:
        assert asked.wait(PATIENCE)
        client.kill()
    go_on.set()
    assert station.files() == [".json"]
    station.server.answer = None
    delivery, events = station.delivery()
    delivery.deliver()
    assert [event["status"] for event in events] == ["recorded"]


def test_lost_answer_is_survived_at_every_byte(station: Station) -> None:
    answer = 8 + len(ReportReply(True).body()) + 6
    station.spool.keep(report())
    for cut in range(answer):
        station.server.cut = cut
        delivery, events = station.delivery()
        delivery.deliver()
        assert [event["event"] for event in events] == ["reports"], cut
        assert station.files() == [".json"]
    station.server.cut = None
    delivery, events = station.delivery()
    delivery.deliver()
    assert [event["status"] for event in events] == ["recorded"]
    assert len({replace(request, request_number=0) for request in station.server.authority.reported}) == 1


@pytest.mark.slow
def test_lost_report_is_survived_at_every_byte(station: Station) -> None:
    station.spool.keep(report())
    for drop in range(4, 8 + len(REPORT.body())):
        station.server.drop = drop
        delivery, events = station.delivery()
        delivery.deliver()
        assert [event["event"] for event in events] == ["reports"], drop
    assert station.server.authority.reported == []
    station.server.drop = None
    delivery, events = station.delivery()
    delivery.deliver()
    assert [event["status"] for event in events] == ["recorded"]


class Killed(BaseException):
    """The process ends here."""


_STEPS = ("os.open", "os.write", "os.fsync", "os.close", "pathlib.Path.replace")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", _STEPS)
def test_kill_at_any_step_leaves_a_whole_report_or_none(
    station: Station, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
) -> None:
    """The steps of a write are those that the system calls make: each is cut off before and after it, each time."""
    station.spool.keep(report(1))
    owner = os if step.startswith("os.") else Path
    name = step.rpartition(".")[2]
    real = getattr(owner, name)
    for number in range(4):
        calls = 0

        def killed(*arguments: Any, at: int = number, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at + 1 and before:
                raise Killed
            result = real(*arguments, **options)
            if calls == at + 1:
                raise Killed
            return result

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, killed)
            try:
                station.spool.keep(report(2))
            except Killed:
                finished = False
            else:
                finished = True
        kept = [station.spool.read(path) for path in station.spool.waiting()]
        assert kept in ([report(1)], [report(1), report(2)])
        assert not finished or len(kept) == 2
        for path in station.spool.waiting()[1:]:
            path.unlink()


def test_half_written_file_of_a_power_cut_is_not_a_report(station: Station) -> None:
    data = report().to_bytes()
    station.spool.keep(report(1))
    (path,) = station.spool.waiting()
    path.rename(path.with_name(f".{path.name}.new"))
    assert station.spool.waiting() == []
    station.spool.keep(report(1))
    assert [file.read_bytes() for file in station.spool.waiting()] == [data]


def test_server_that_never_answers_a_report_holds_no_board_up(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it were waited for as for certificates, the answer would come first."""
    monkeypatch.setattr(report_delivery, "REPORT_SECONDS", 0.1)
    given_up = threading.Event()

    def answer(_: ReportRequest) -> AnyMessage:
        given_up.wait(EXCHANGE_SECONDS / 4)
        return ReportReply(True)

    station.server.answer = answer
    for number in (1, 2, 3):
        station.spool.keep(report(number))
    delivery, events = station.delivery()
    delivery.deliver()
    given_up.set()
    assert [(event["event"], event["waiting"], event["code"]) for event in events] == [("reports", 3, "server-dropped")]
    assert station.files() == [".json"] * 3
    monkeypatch.undo()
    station.server.answer = None
    delivery.deliver()
    assert station.files() == []


def test_connection_that_is_not_answered_holds_no_board_up(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    station.spool.keep(report())
    delivery, events = station.delivery()
    client = station.clients[-1]
    client.connect()
    client.close()
    asked: list[tuple[object, float]] = []

    def unanswered(place: object, timeout: float) -> socket.socket:
        asked.append((place, timeout))
        raise TimeoutError

    client._connection.address = ServerPlace("name-that-takes-long.example", 1)
    with monkeypatch.context() as patch:
        patch.setattr(socket, "create_connection", unanswered)
        delivery.deliver()
    ((place, timeout),) = asked
    assert place == tuple(station.server.address), "no name is looked up"
    assert 0 < timeout <= REPORT_SECONDS <= 3
    assert events[0]["code"] == "server-unreachable"
    delivery.deliver()
    assert station.files() == []


def test_long_list_of_reports_is_sent_in_rounds(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2, 3):
        station.spool.keep(report(number))
    delivery, events = station.delivery()
    monkeypatch.setattr(report_delivery, "ROUND_SECONDS", 0)
    for left in (2, 1, 0):
        delivery.deliver()
        assert len(station.files()) == left
    assert {event["event"] for event in events} == {"report"}


@pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 4096, b"x" * 9000])
def test_damaged_report_is_set_aside_and_blocks_nothing(station: Station, damage: bytes) -> None:
    for number in (1, 2):
        station.spool.keep(report(number))
    station.spool.waiting()[0].write_bytes(damage)
    delivery, events = station.delivery()
    delivery.deliver()
    assert [event["event"] for event in events] == ["warning", "report"]
    assert "is set aside as" in events[0]["advice"]
    assert station.files() == [".json.damaged"]
    delivery, events = station.delivery()
    delivery.deliver()
    assert events == []


@pytest.mark.parametrize("code", [Code.PROOF_INVALID, Code.REPORT_DIFFERS, Code.REPORT_MISMATCH])
def test_refused_report_is_set_aside_with_a_warning(station: Station, code: Code) -> None:
    station.server.answer = lambda request: ErrorReply(str(code), "It is refused.", False)
    for number in (1, 2):
        station.spool.keep(report(number))
    delivery, events = station.delivery()
    delivery.deliver()
    assert [(event["event"], event["code"]) for event in events] == [("warning", code)] * 2
    assert station.files() == [".json.refused"] * 2


@pytest.mark.parametrize("code", [Code.SERVER_BUSY, Code.RECORDS_FAILED, Code.INTERNAL, Code.SERVER_STOPPING])
def test_server_that_cannot_record_now_is_asked_again_later(station: Station, code: Code) -> None:
    station.server.answer = lambda request: ErrorReply(str(code), "Not now.", True)
    for number in (1, 2, 3):
        station.spool.keep(report(number))
    delivery, events = station.delivery()
    delivery.deliver()
    assert [(event["event"], event["waiting"], event["code"]) for event in events] == [("reports", 3, code)]
    station.server.answer = None
    delivery.deliver()
    assert [event["event"] for event in events[1:]] == ["report"] * 3
    assert [request.finished for request in station.server.authority.reported] == [
        report(number).request.finished for number in (1, 2, 3)
    ]


def test_report_for_another_server_waits_for_it_and_holds_up_no_other(station: Station) -> None:
    def answer(request: ReportRequest) -> AnyMessage:
        if request.challenge == report(1).request.challenge:
            return ErrorReply("challenge-unknown", "Another server.", False)
        return ReportReply(True)

    station.server.answer = answer
    for number in (1, 2):
        station.spool.keep(report(number))
    delivery, events = station.delivery()
    for _ in range(2):
        delivery.deliver()
    assert [event["status"] for event in events] == ["other-server", "recorded"]
    assert station.files() == [".json"]


def test_older_server_is_asked_once_until_it_sends_a_challenge(station: Station) -> None:
    station.server.answer = lambda request: ErrorReply("unexpected-message", "Message type 0x03 is unknown.", False)
    station.spool.keep(report(1))
    spool = station.spool
    delivery, events = station.delivery(spool)
    for _ in range(3):
        delivery.deliver()
    assert len(events) == 1
    station.server.answer = None
    delivery.deliver()
    assert len(events) == 1
    spool.keep(report(2))
    delivery.deliver()
    assert len(events) == 3


def test_reports_of_another_product_are_left_alone(station: Station) -> None:
    ReportSpool(station.reports, bytes(64)).keep(report())
    delivery, events = station.delivery()
    delivery.deliver()
    assert events == []
    assert station.files() == [".json"]


@pytest.mark.slow
def test_two_clients_of_a_station_deliver_each_report(station: Station) -> None:
    for number in range(30):
        station.spool.keep(report(number))
    deliveries = [station.delivery() for _ in range(3)]
    threads = [threading.Thread(target=delivery.deliver) for delivery, _ in deliveries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert station.files() == []
    assert len(station.recorded()) == 30
    assert {request.challenge for request in station.server.authority.reported} == {
        report(number).request.challenge for number in range(30)
    }
    assert {event["event"] for _, events in deliveries for event in events} == {"report"}


def test_recorded_reports_are_kept_up_to_a_number(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_spool, "RECORDED_MAX", 2)
    for number in range(4):
        station.spool.keep(report(number))
    delivery, _ = station.delivery()
    delivery.deliver()
    assert [BoardReport.from_bytes(path.read_bytes()) for path in station.recorded()] == [report(2), report(3)]


def test_station_with_too_many_reports_begins_no_board(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_spool, "FILES_MAX", 2)
    station.spool.keep(report(1))
    station.spool.require_ready()
    station.spool.keep(report(2))
    with pytest.raises(UsageError, match="2 reports wait") as refused:
        station.spool.require_ready()
    assert (refused.value.code, refused.value.board) == (Code.REPORTS_FULL, Board.UNTOUCHED)


@pytest.mark.slow
def test_reports_folder_that_cannot_be_made_stops_the_client_before_a_board(station: Station) -> None:
    (station.folder / "file").write_text("")
    refused = station.run("--json", "--reports", station.folder / "file" / "reports")
    event = json.loads(refused.out.splitlines()[-1])
    assert (refused.code, event["event"], event["code"]) == (2, "error", "file-unwritable")
    assert "name another folder with --reports" in event["advice"]
    assert station.run("--reports", station.folder / "other" / "reports").code == 0


@pytest.mark.skipif(not hasattr(os, "statvfs"), reason="this system has no statvfs to be played")
def test_full_disk_of_the_reports_is_noticed_before_a_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[Path] = []

    def free(place: Path) -> int:
        places.append(place)
        return 4096

    monkeypatch.setattr("provisioning_client.disk_room.free_bytes", free)
    with pytest.raises(UsageError, match="disk of the reports") as refused:
        DiskRoom(reports=tmp_path / "not" / "there").require()
    assert (refused.value.code, places) == (Code.DISK_FULL, [tmp_path])


@pytest.mark.slow
def test_disk_that_fills_up_during_the_run_costs_the_report_only(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("atcaprov.durable_files.replace", full)
    events = station.events()
    assert _named(events, "result")[0]["result"] == "pass"
    assert [event["code"] for event in _named(events, "warning")] == ["disk-full"]


def test_report_of_an_interrupted_run_is_kept(station: Station) -> None:
    hal = ScriptedHal()
    lines: list[str] = []
    output = ConsoleOutput(lines.append)
    access = ServerAccess((str(ServerPlace(*station.server.address)),))
    functions = ClientFunctions(access, output, DiskRoom(), station.spool)

    def interrupted(packet: bytes) -> bytes:
        if Stage.DATA_LOCK.label in "".join(lines[-1:]):
            raise KeyboardInterrupt
        return hal.chip.exchange(packet)

    hal.answer = interrupted
    with Device(hal) as device, pytest.raises(KeyboardInterrupt):
        Provisioner(Profile(), station.server.authority.cert_info, functions).provision(device)
    functions.close()
    (path,) = station.spool.waiting()
    kept = station.spool.read(path)
    assert (kept.fate, kept.code, kept.has_proof) == (Board.RETRY, Code.INTERRUPTED, False)
    assert kept.request.stages[-1].outcome == StageStatus.ERROR


def test_unreadable_report_is_passed_over_with_one_warning(station: Station) -> None:
    if os.name == "nt" or sys.platform == "darwin":
        pytest.skip("needs /proc")
    for number in (1, 2):
        station.spool.keep(report(number))
    first = station.spool.waiting()[0]
    first.unlink()
    first.mkdir()
    delivery, events = station.delivery()
    for _ in range(2):
        delivery.deliver()
    assert [event["event"] for event in events] == ["warning", "report"]


@pytest.mark.slow
def test_plain_tcp_client_sends_each_report_once(station: Station, caplog: pytest.LogCaptureFixture) -> None:
    """What an integrator gets who derives from TcpClient and knows nothing of reports."""
    cert_info = station.server.authority.cert_info
    client = TcpClient(*station.server.address)
    station.clients.append(client)
    with Device(ScriptedHal()) as device:
        Provisioner(Profile(), cert_info, client).provision(device)
    (request,) = station.server.authority.reported
    assert request.signature
    station.server.cut = 0
    with Device(ScriptedHal()) as device:
        assert Provisioner(Profile(), cert_info, client).provision(device)
    assert "did not reach the server" in caplog.text
