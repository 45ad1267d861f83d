"""`provisioning-server ledger accept-rollback`: what the log of the server asks for is done, and recorded."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provisioning_server.cli import command as provisioning_server
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.records.data_folder import DataFolder
from tests.provisioning_server.ledger.events import SIGNER, issued, step
from tests.support.guarded_ledger import CountingSigner, GuardedLedger
from tests.support.in_memory_signer import MemorySigner
from tests.support.programs import run_in_process

ACCEPT = ("ledger", "accept-rollback")


@pytest.fixture
def server(tmp_path: Path) -> GuardedLedger:
    data = tmp_path / "data"
    data.mkdir()
    made = GuardedLedger(data)
    step(made.ledger, issued(1))
    return made


def command_in(line: str) -> list[str]:
    """Return the words behind the program that a line of the log names, up to what the operator fills in."""
    _, _, command = line.partition("provisioning-server ")
    return shlex.split(command.removesuffix("TEXT"))


def last_entry(server: GuardedLedger) -> dict[str, object]:
    (entry,) = server.ledger.entries(server.ledger.head().size - 1, 1)
    event = decode(entry.body.decode())
    return {name: getattr(event, name) for name in ("reason", "signer_serial", "missing", "checkpoint")}


def test_signer_is_accepted_as_the_log_says(server: GuardedLedger) -> None:
    signer = CountingSigner(14)
    assert server.start().admit(signer) is not None
    server.ledger.close()
    words = command_in(server.log.lines[-1])
    assert words[-3:] == ["--signer", SIGNER.serial.hex().upper(), "--reason"]
    done = run_in_process(provisioning_server, *words, "restored from last night", "--data", str(server.data))
    assert (done.code, done.err) == (0, "")
    assert "13 signatures" in done.out
    assert "epoch 2" in done.out
    after = server.again()
    assert after.start().admit(signer) is None
    reason = "restored from last night"
    assert last_entry(after) == {
        "reason": reason, "signer_serial": SIGNER.serial, "missing": 13, "checkpoint": b"",
    }  # fmt: skip
    after.ledger.close()


def test_checkpoint_is_accepted_as_the_log_says(server: GuardedLedger, tmp_path: Path) -> None:
    older = server.saved(tmp_path / "older")
    step(server.ledger, issued(2))
    kept = server.checkpoint()
    server.own.write(kept)
    behind = server.restored(older)
    assert behind.start().is_behind
    behind.ledger.close()
    words = command_in(behind.log.lines[-1])
    assert words == [*ACCEPT, "--reason"]
    done = run_in_process(provisioning_server, *words, "old file", "--data", str(server.data))
    assert done.code == 0, done.err
    after = behind.again()
    assert after.start().admit(MemorySigner()) is None
    assert last_entry(after)["checkpoint"] == kept
    after.ledger.close()


def test_nothing_is_accepted_while_a_server_runs(server: GuardedLedger) -> None:
    server.start().admit(CountingSigner(14))
    server.ledger.close()
    with DataFolder(server.data, datetime.now(UTC)).locked():
        done = run_in_process(provisioning_server, *ACCEPT, "--reason", "x", "--data", str(server.data))
    assert done.code == 2
    assert "uses the data folder" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "has not found that its ledger is behind"),
        (("--signer", SIGNER.serial.hex()), "has not found that its ledger is behind the signer"),
        (("--signer", "0123"), "not a serial number"),
        (("--signer", "line 1"), "not a serial number"),
    ],
)
def test_what_the_server_has_not_found_is_not_accepted(
    server: GuardedLedger, words: tuple[str, ...], said: str
) -> None:
    server.ledger.close()
    done = run_in_process(provisioning_server, *ACCEPT, *words, "--reason", "x", "--data", str(server.data))
    assert done.code == 2
    assert said in done.err
    again = server.again()
    assert again.ledger.head().size == 1
    again.ledger.close()


def test_folder_without_a_ledger_is_refused_and_gets_none(tmp_path: Path) -> None:
    done = run_in_process(provisioning_server, *ACCEPT, "--reason", "x", "--data", str(tmp_path))
    assert done.code == 2
    assert not (tmp_path / "ledger.sqlite3").exists()


def test_newer_ledger_that_was_put_back_needs_no_entry(server: GuardedLedger) -> None:
    signer = CountingSigner(2)
    assert server.start().admit(signer) is not None
    step(server.ledger, issued(2))
    server.ledger.close()
    done = run_in_process(provisioning_server, *ACCEPT, "--reason", "x", "--data", str(server.data))
    assert "The ledger lacks nothing any more." in done.out
    after = server.again()
    assert after.ledger.head().size == 2
    assert not after.file.path.exists()
    after.ledger.close()
