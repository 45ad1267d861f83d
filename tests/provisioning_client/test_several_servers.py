"""The client with several servers: what the operator and a script see, what it keeps, and where reports go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from provisioning_client.cli import command
from provisioning_server.ledger.ledger_place import PostgresqlUrl
from tests.support.cut_links import Cut, Link, Scissors, links_to
from tests.support.in_memory_signer import MemorySigner
from tests.support.postgresql import running_postgresql
from tests.support.programs import Ended, run_in_process
from tests.support.server import running_server
from tests.support.signer_folders import certinfo_of

pytestmark = pytest.mark.slow


class Line:
    """Two servers behind links, and a station."""

    def __init__(self, folder: Path, stack: ExitStack, ledger: str | None) -> None:
        self.folder = folder
        self.signer = MemorySigner()
        (folder / "cert_info.c").write_text(certinfo_of(self.signer))
        servers = []
        for name in ("a", "b"):
            data = folder / name
            data.mkdir()
            if ledger is not None and name == "b":
                shutil.copy(folder / "a" / "log-key.pem", data)
            place = {} if ledger is None else {"ledger": PostgresqlUrl(ledger)}
            servers.append(stack.enter_context(running_server(self.signer, data, **place)))
        self.links: list[Link] = stack.enter_context(links_to(*servers))

    @property
    def names(self) -> list[str]:
        return [f"{host}:{port}" for host, port in (link.place for link in self.links)]

    def run(self, chip: str, *words: str) -> Ended:
        servers = [word for name in self.names for word in ("--server", name)]
        kept = ("--reports", str(self.folder / "reports"), "--checkpoints", str(self.folder / "checkpoints"))
        device = ("--device", f"emulator:{self.folder / chip}.json")
        return run_in_process(
            command, "--certinfo", str(self.folder / "cert_info.c"), *servers, *kept, "--auto", *device, *words
        )

    def events(self, chip: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run(chip, "--json").out.splitlines()]

    def result(self, chip: str) -> dict[str, Any]:
        (result,) = (event for event in self.events(chip) if event["event"] == "result")
        return result

    def cut(self, at: int, *, for_good: bool = True) -> None:
        scissors = Scissors(at, Cut.BEFORE, for_good)
        for link in self.links:
            link.scissors = scissors

    def mend(self) -> None:
        for link in self.links:
            link.away, link.scissors = False, Scissors()


@pytest.fixture
def separate(tmp_path: Path) -> Iterator[Line]:
    with ExitStack() as stack:
        yield Line(tmp_path, stack, None)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with ExitStack() as stack:
        postgresql = stack.enter_context(running_postgresql())
        yield Line(tmp_path_factory.mktemp("shared"), stack, postgresql.make_database("station"))


def test_console_names_the_server_that_takes_over(separate: Line) -> None:
    separate.links[0].away = True
    done = separate.run("chip")
    assert done.code == 0, done
    text = " ".join(done.out.split())
    assert f"Connecting to {', '.join(separate.names)}..." in text
    assert f"Boards continue with the server at {separate.names[1]}." in text


def test_result_names_the_server_that_issued_and_the_report_goes_there(separate: Line) -> None:
    separate.links[0].away = True
    events = separate.events("chip")
    (result,) = (event for event in events if event["event"] == "result")
    assert result["server"] == separate.names[1]
    (report,) = (event for event in events if event["event"] == "report")
    assert (report["status"], report["proven"], report["request"]) == ("recorded", True, result["request"])


def test_report_waits_for_the_server_that_issued(separate: Line) -> None:
    """Of a server with a ledger of its own; the other one does not know the challenge."""
    assert separate.result("one")["result"] == "pass"
    separate.cut(7)  # after the certificates: the report of the second board does not get through
    assert separate.result("two")["server"] == separate.names[0]
    (waiting,) = (separate.folder / "reports").glob("*.json")
    assert json.loads(waiting.read_text())["server"] == separate.names[0]
    third = separate.events("three")
    assert [event["waiting"] for event in third if event["event"] == "reports"]
    assert [event["status"] for event in third if event["event"] == "report"] == ["recorded"], "that of its own board"
    separate.mend()
    assert separate.result("four")["result"] == "pass"
    assert not list((separate.folder / "reports").glob("*.json"))


def interrupted(line: Line, chip: str) -> None:
    """Leave a chip whose first server has certified it and went away with the answer; the other was away, too."""
    line.links[1].away = True
    line.cut(5)
    assert line.result(chip)["board"] == "retry"
    line.mend()


def test_interrupted_board_waits_for_the_server_that_may_have_certified_it(separate: Line) -> None:
    interrupted(separate, "chip")
    separate.links[0].away = True
    waits = separate.result("chip")
    assert (waits["code"], waits["board"]) == ("server-awaited", "retry")
    assert separate.names[0] in waits["message"]
    separate.mend()
    assert separate.result("chip")["result"] == "pass"
    assert separate.signer.signatures == 1


def test_interrupted_board_is_finished_by_another_server_of_the_ledger(shared: Line) -> None:
    interrupted(shared, "chip")
    before = shared.signer.signatures
    shared.links[0].away = True
    assert shared.result("chip")["result"] == "pass"
    assert shared.signer.signatures == before
    shared.mend()


def test_station_remembers_over_restarts_which_ledger_a_server_is_on(shared: Line) -> None:
    """The chip has a key that no one has certified: a server that is away must not be waited for."""
    assert shared.result("before")["result"] == "pass"
    shared.links[0].away = True
    assert shared.result("b")["result"] == "pass", "both have been seen now"
    shared.mend()
    shared.links[1].away = True
    shared.cut(4)
    assert shared.result("cut")["board"] in ("retry", "untouched")
    shared.mend()
    shared.links[0].away = True
    assert shared.result("cut")["result"] == "pass"
    shared.mend()


def test_plan_asks_the_server_that_answers(separate: Line) -> None:
    separate.links[0].away = True
    done = separate.run("chip", "plan", "--json")
    assert done.code == 0, done
    (plan,) = map(json.loads, done.out.splitlines())
    checks = {check["name"]: check["outcome"] for check in plan["checks"]}
    assert checks["signer"] == "passed"
    for link in separate.links:
        link.away = True
    unplanned = separate.run("chip", "plan")
    assert unplanned.code == 3
    assert all(name in " ".join(unplanned.out.split()) for name in separate.names)
