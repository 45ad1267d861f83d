"""An action of an administrator is done by the running server, or in place: the ledger has the same entry."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from atcaprov import UsageError
from provisioning_server.commands.administer import administer
from provisioning_server.commands.locked_folder import locked_data_folder
from provisioning_server.control.actions import ACTIONS, BY
from provisioning_server.control.client import run_command
from provisioning_server.control.control_file import ControlFile, ControlPlace
from provisioning_server.ledger.actions import ActionPlace, PlannedAction
from provisioning_server.ledger.administration import OrderOpened
from provisioning_server.ledger.changes import Event
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.store import Ledger
from provisioning_server.records.data_folder import FolderInUseError
from tests.support.in_memory_signer import MemorySigner
from tests.support.ledgers import ledger_in
from tests.support.server import running_server

ACTION = "open-order-for-a-test"


def open_order(arguments: Mapping[str, Any], place: ActionPlace) -> PlannedAction:
    name = arguments["order"]

    def decide(ledger: Ledger) -> Sequence[Event]:
        if any(each.opened.order == name for each in ledger.administered.orders()):
            raise UsageError(f"The order {name} exists.", advice="Choose another name.")
        return [OrderOpened(place.now, name, by=place.by)]

    return PlannedAction(decide, lambda written: {"entries": list(written), "data": str(place.data)})


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ACTIONS, ACTION, open_order)
    monkeypatch.setenv("SUDO_USER", "anna")


def orders(data: Path) -> list[tuple[str, str]]:
    with contextlib.closing(ledger_in(data)) as ledger:
        return [(each.opened.order, each.opened.by) for each in ledger.administered.orders()]


def test_action_is_done_in_place_where_no_server_runs(tmp_path: Path) -> None:
    place = LedgerPlace(tmp_path, None)
    assert administer(place, ACTION, {"order": "4711"}) == {"entries": [0], "data": str(tmp_path)}
    with pytest.raises(UsageError, match="The order 4711 exists"):
        administer(place, ACTION, {"order": "4711"})
    assert orders(tmp_path) == [("4711", "anna")]


def test_program_at_the_port_of_a_killed_server_hinders_nothing(tmp_path: Path) -> None:
    """Any user of the computer may listen there, and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ControlFile(tmp_path).write(ControlPlace(silent.getsockname()[1]))
        assert administer(LedgerPlace(tmp_path, None), ACTION, {"order": "4711"})["entries"] == [0]


@pytest.mark.slow
def test_running_server_does_the_action(tmp_path: Path) -> None:
    place = LedgerPlace(tmp_path, None)
    with running_server(MemorySigner(), tmp_path):
        assert administer(place, ACTION, {"order": "4711"}) == {"entries": [0], "data": str(tmp_path)}
        with pytest.raises(UsageError, match="The order 4711 exists"):
            administer(place, ACTION, {"order": "4711"})
    administer(place, ACTION, {"order": "4712"})
    assert orders(tmp_path) == [("4711", "anna"), ("4712", "anna")]


@pytest.mark.slow
@pytest.mark.parametrize("by", [None, 7, "", "x" * 65, "anna\nbert"])
def test_action_of_no_one_is_refused(tmp_path: Path, by: object) -> None:
    with running_server(MemorySigner(), tmp_path), pytest.raises(UsageError, match="does not say who asks"):
        run_command(tmp_path, ACTION, {"order": "4711", BY: by})


@pytest.mark.slow
def test_bug_in_an_action_ends_no_server(tmp_path: Path) -> None:
    with running_server(MemorySigner(), tmp_path):
        with pytest.raises(Exception, match="Internal error, KeyError"):
            run_command(tmp_path, ACTION, {BY: "anna"})
        assert run_command(tmp_path, "status", {})["health"] == "ok"


def test_folder_that_another_command_holds_is_left_alone(tmp_path: Path) -> None:
    with locked_data_folder(tmp_path), pytest.raises(FolderInUseError):
        administer(LedgerPlace(tmp_path, None), ACTION, {"order": "4711"})
    assert orders(tmp_path) == []
