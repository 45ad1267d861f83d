"""`provisioning-server ledger unproven`: the certificates that no chip has proven, for people and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from atcaprov.certs.issued_record import Origin
from provisioning_server.commands.ledger import unproven
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.commands.conftest import RunLedger
from tests.provisioning_server.ledger.events import NOW, issued, reported, step
from tests.support.products import profile_text
from tests.support.server_parts import chip_serial


def test_list_has_chip_time_client_and_fate(run_ledger: RunLedger) -> None:
    ended = run_ledger("unproven")
    first, second = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "2 certificates unproven.\n")
    assert first.startswith(f"2026-11-21T10:16:40Z  {chip_serial(2).hex().upper()}  ")
    assert "  unproven  -          198.51.100.9:40000  " in first
    assert "  unproven  set-aside  192.0.2.7:40312  " in second


def test_json_names_what_a_program_revokes_by(run_ledger: RunLedger) -> None:
    ended = run_ledger("unproven", "--json")
    assert ended.err == ""
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert [each["certificate_serial"] for each in found] == [
        issued(number).record.certificate_serial.hex().upper() for number in (2, 3)
    ]
    assert [each["proven"] for each in found] == [None, None]
    assert {"signer_serial", "chip_serial", "public_key", "client", "time"} <= found[0].keys()


@pytest.mark.parametrize(
    ("older_than", "count"),
    [("0s", 2), ("9m", 2), ("599s", 2), ("600s", 1), ("10m", 1), ("659s", 1), ("661s", 0), ("1w", 0)],
)
def test_older_than_counts_from_now(
    run_ledger: RunLedger, monkeypatch: pytest.MonkeyPatch, older_than: str, count: int
) -> None:
    monkeypatch.setattr(unproven, "_now", lambda: NOW + timedelta(seconds=720 - 1))  # issued 659 and 599 s ago
    ended = run_ledger("unproven", "--older-than", older_than)
    assert len(ended.out.splitlines()) == count


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "24 h", "24H", "1h30m", "9999999s", "6000w", "٣h"])
def test_other_durations_are_refused(run_ledger: RunLedger, text: str) -> None:
    ended = run_ledger("unproven", "--older-than", text)
    assert (ended.code, ended.out) == (2, "")
    assert "is not a duration such as 30m, 24h or 7d." in ended.err


def test_proof_that_comes_later_takes_it_off_the_list(run_ledger: RunLedger, open_server: SqlLedger) -> None:
    step(open_server, replace(reported(1, 2), challenge=b"\x07" * 32))
    assert len(run_ledger("unproven").out.splitlines()) == 1


def test_certificate_without_a_challenge_is_not_listed(run_ledger: RunLedger, open_server: SqlLedger) -> None:
    step(open_server, replace(issued(4), challenge=b""))
    assert run_ledger("unproven").err == "2 certificates unproven.\n"


def test_long_list_is_complete(run_ledger: RunLedger, open_server: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unproven, "_PAGE", 3)
    step(open_server, *(issued(number) for number in range(10, 20)))
    assert run_ledger("unproven").err == "12 certificates unproven.\n"


def test_profiles_leave_out_what_needs_no_proof_and_tell_what_is_overdue(
    run_ledger: RunLedger, open_server: SqlLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.toml").write_text(profile_text("a", '[proof]\npolicy = "required"\nwithin_hours = 2'))
    (tmp_path / "b.toml").write_text(profile_text("b", '[proof]\npolicy = "none"'))
    step(
        open_server,
        issued(11, after=1000, origin=Origin(product="a")),
        issued(12, after=1001, origin=Origin(product="b")),
    )
    chips = [chip_serial(number).hex().upper() for number in (11, 12)]
    for hours, overdue in ((1, False), (3, True)):
        monkeypatch.setattr(unproven, "_now", lambda hours=hours: NOW + timedelta(hours=hours))
        lines = run_ledger("unproven", "--profile", str(tmp_path)).out.splitlines()
        assert len(lines) == 3
        assert [line.endswith("  overdue") for line in lines if chips[0] in line] == [overdue]
        assert not any(chips[1] in line for line in lines)
        objects = [
            json.loads(line) for line in run_ledger("unproven", "--json", "--profile", str(tmp_path)).out.splitlines()
        ]
        assert [each.get("overdue") for each in objects] == [None, None, overdue]
    assert len(run_ledger("unproven").out.splitlines()) == 4
