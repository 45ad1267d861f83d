"""`provisioning-server revoke` and `crl`: what is shown, asked, refused and done, in place and by a running server."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provisioning_server.cli import command
from provisioning_server.commands import revoke
from provisioning_server.ledger.administration import Revoked
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.revocation import selection
from provisioning_server.revocation.reasons import Reason
from tests.provisioning_server.commands.conftest import OTHER_SIGNER
from tests.provisioning_server.ledger.events import issued, step
from tests.support.ledgers import ledger_in
from tests.support.programs import Ended, run_in_process
from tests.support.server_parts import chip_serial

Run = Callable[..., Ended]
SERIALS = [issued(number).record.certificate_serial.hex() for number in (1, 2, 3)]


@pytest.fixture
def run(open_server: SqlLedger, tmp_path: Path) -> Run:
    assert open_server.head().size
    return lambda *words: run_in_process(command, "--data", str(tmp_path), *map(str, words))


def revocations(data: Path) -> list[Revoked]:
    with contextlib.closing(ledger_in(data)) as ledger:
        return list(ledger.administered.revocations())


def test_a_certificate_is_revoked_by_its_serial_number(run: Run, tmp_path: Path) -> None:
    ended = run("revoke", SERIALS[1], "--reason", "KeyCompromise", "--note", "sold on a market", "--yes")
    assert (ended.code, ended.err) == (0, "1 certificate to revoke.\n1 certificate revoked.\n")
    assert chip_serial(2).hex().upper() in ended.out
    (revoked,) = revocations(tmp_path)
    assert (revoked.certificate_index, revoked.chip_serial) == (1, chip_serial(2))
    assert (revoked.reason, revoked.note) == (Reason.KEY_COMPROMISE, "sold on a market")
    assert revoked.by
    again = run("revoke", SERIALS[1], "--reason", "keyCompromise", "--yes")
    assert (again.code, again.err) == (0, "0 certificates to revoke.\n1 certificate revoked already.\n")
    assert revocations(tmp_path) == [revoked]


@pytest.mark.parametrize(
    ("words", "chips"),
    [
        (("--chip", chip_serial(3).hex()), [3]),
        (("--batch", "2026-117"), [1]),
        (("--since", "2026-11-21T10:16:00Z"), [2, 3]),
        (("--since", "2026-11-21T10:16:00Z", "--until", "2026-11-21T10:17:00Z"), [2]),
        (("--unproven",), [2, 3]),
        (("--unproven", "--signer", OTHER_SIGNER.hex()), [2]),
        (("--unproven", "--since", "2026-11-21T10:17:00Z"), [3]),
        (("--unproven", "--older-than", "1h", "--until", "2026-11-21T10:17:00Z"), [2]),
        (("--batch", "unknown"), []),
    ],
)
def test_ways_to_name_certificates(run: Run, tmp_path: Path, words: tuple[str, ...], chips: list[int]) -> None:
    shown = run("revoke", *words, "--reason", "superseded", "--dry-run", "--json")
    assert shown.code == 0, shown.err
    found = [json.loads(line)["chip_serial"] for line in shown.out.splitlines()]
    assert found == [chip_serial(chip).hex().upper() for chip in chips]
    assert revocations(tmp_path) == []
    assert run("revoke", *words, "--reason", "superseded", "--yes").code == 0
    assert [each.chip_serial for each in revocations(tmp_path)] == [chip_serial(chip) for chip in chips]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Certificates are named in no ways."),
        ((SERIALS[0], "--chip", chip_serial(1).hex()), "Certificates are named in 2 ways."),
        (("--unproven", "--chip", chip_serial(1).hex()), "Certificates are named in 2 ways."),
        ((SERIALS[0], "--batch", "x"), "Certificates are named in 2 ways."),
        (("40ff",), "No certificate of the ledger has the serial number 40FF."),
        (("--chip", "0123ffffffffffffee"), "The chip 0123FFFFFFFFFFFFEE has no certificate in the ledger."),
        (("--older-than", "1h", SERIALS[0]), "--older-than is for --unproven."),
        (("xyz",), "is not the serial number of a certificate"),
    ],
)
def test_what_names_nothing_or_several_things_is_refused(
    run: Run, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    ended = run("revoke", *words, "--reason", "superseded", "--yes")
    assert ended.code == 2
    assert message in ended.err
    assert revocations(tmp_path) == []


@pytest.mark.parametrize("reason", ["certificateHold", "scrap", ""])
def test_other_reasons_are_refused_with_those_that_there_are(run: Run, tmp_path: Path, reason: str) -> None:
    ended = run("revoke", SERIALS[0], "--reason", reason, "--yes")
    assert ended.code == 2
    assert "cessationOfOperation" in ended.err
    assert revocations(tmp_path) == []


def test_help_says_which_reason_is_for_a_board_that_is_scrap(run: Run) -> None:
    shown = run("revoke", "--help").out
    assert "cessationOfOperation    the board is scrap, or the unit is out of use" in shown
    for reason in Reason:
        assert f"  {reason} " in shown


def test_a_serial_number_of_two_signers_needs_the_signer(run: Run, open_server: SqlLedger, tmp_path: Path) -> None:
    twin = issued(4)
    same = replace(twin.record, certificate_serial=bytes.fromhex(SERIALS[0]), signer_serial=OTHER_SIGNER)
    step(open_server, replace(twin, record=same))
    ended = run("revoke", SERIALS[0], "--reason", "superseded", "--yes")
    assert ended.code == 2
    assert "2 certificates have the serial number" in ended.err
    assert "Name the signer with --signer." in ended.err
    done = run("revoke", SERIALS[0], "--signer", OTHER_SIGNER.hex(), "--reason", "superseded", "--yes")
    assert done.code == 0, done.err
    assert [each.chip_serial for each in revocations(tmp_path)] == [chip_serial(4)]


def test_without_an_answer_nothing_is_revoked(run: Run, tmp_path: Path) -> None:
    ended = run("revoke", SERIALS[0], "--reason", "superseded")
    assert ended.code == 2
    assert "Add --yes." in ended.err
    assert revocations(tmp_path) == []
    assert run("revoke", SERIALS[0], "--reason", "superseded", "--yes").code == 0


@pytest.mark.parametrize(("answer", "count"), [("y\n", 1), ("n\n", 0), ("\n", 0)])
def test_a_person_is_asked(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, count: int) -> None:
    monkeypatch.setattr("provisioning_server.commands.confirmation.sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: answer.rstrip("\n"))
    assert run("revoke", SERIALS[0], "--reason", "superseded").code == 0
    assert len(revocations(tmp_path)) == count


@pytest.mark.parametrize("note", ["x" * 201, "a\x1b[2J", "\u202etext"])
def test_notes_that_cannot_be_printed_are_refused(run: Run, tmp_path: Path, note: str) -> None:
    ended = run("revoke", SERIALS[0], "--reason", "superseded", "--note", note, "--yes")
    assert ended.code == 2
    assert "The note is too long, or holds characters" in ended.err
    assert revocations(tmp_path) == []


def test_too_many_at_once_are_refused(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(selection, "REVOKED_MAX", 2)
    ended = run("revoke", "--since", "2026-01-01", "--reason", "superseded", "--yes")
    assert ended.code == 2
    assert "Revoke them in parts, with --since and --until." in ended.err
    part = run("revoke", "--since", "2026-01-01", "--until", "2026-11-21T10:17:00Z", "--reason", "superseded", "--yes")
    assert part.code == 0
    assert len(revocations(tmp_path)) == 2


def test_what_is_revoked_is_shown_elsewhere(run: Run) -> None:
    assert run("revoke", SERIALS[1], "--reason", "superseded", "--yes").code == 0
    (line,) = run("ledger", "search", "--revoked").out.splitlines()
    assert "  revoked  " in line
    assert len(run("ledger", "search", "--not-revoked").out.splitlines()) == 2
    (found,) = (json.loads(line) for line in run("ledger", "search", "--json", "--revoked").out.splitlines())
    assert found["revoked"]
    assert chip_serial(2).hex().upper() not in run("ledger", "unproven").out


def test_lists_are_due_when_a_revocation_is_on_none(run: Run) -> None:
    assert run("crl", "due").code == 0
    assert "no list" in run("crl", "list").out
    run("revoke", SERIALS[0], "--reason", "superseded", "--yes")
    due = run("crl", "due", "--json")
    assert due.code == 10
    (row,) = (json.loads(line) for line in due.out.splitlines())
    assert (row["revoked"], row["number"], row["due"]) == (1, None, "revocation")


def test_a_list_needs_the_running_server(run: Run) -> None:
    ended = run("crl", "publish", "--yes")
    assert ended.code == 3
    assert "No server runs with the data folder" in ended.err
    shown = run("crl", "show", issued(1).record.signer_serial.hex())
    assert shown.code == 2
    assert "has signed no list" in shown.err
    assert run("crl", "list").code == 0


def test_a_long_list_is_cut_and_shown_whole_as_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revoke, "_LISTED", 2)
    words = ("revoke", "--since", "2026-01-01", "--reason", "superseded", "--dry-run")
    assert run(*words).out.splitlines()[-1] == "... and 1 more; --json lists all"
    assert len(run(*words, "--json").out.splitlines()) == 3


def test_a_chip_is_looked_up_as_the_advice_says(run: Run) -> None:
    ended = run("ledger", "search", "--chip", chip_serial(1).hex())
    assert SERIALS[0].upper() in ended.out
