"""`provisioning-server ledger show`, `search` and `export`, beside a server that has the ledger open."""

from __future__ import annotations

import base64
import csv
import io
import json
import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioning_server.cli import command
from provisioning_server.commands.certificate_columns import COLUMNS
from provisioning_server.commands.ledger.csv_lines import CsvLines
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.changes import Changes
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.open_ledger import FILE_NAME, open_ledger
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from tests.provisioning_server.commands.conftest import OTHER_SIGNER, RunLedger, changed
from tests.provisioning_server.ledger.events import NOW, ORIGIN, SIGNER, issued, step
from tests.support.programs import run_in_process
from tests.support.server_parts import chip_serial

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "server-commands.md").read_text(encoding="utf-8")


def numbers(output: str) -> list[int]:
    """Return the chips of a JSON output, as the tests number them."""
    return [int(json.loads(line)["chip_serial"][8:16], 16) for line in output.splitlines()]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), [1, 2, 3]),
        (("--chip", chip_serial(2).hex()), [2]),
        (("--chip", chip_serial(9).hex()), []),
        (("--signer", OTHER_SIGNER.hex().upper()), [2]),
        (("--signer", SIGNER.serial.hex()), [1, 3]),
        (("--station", "192.0.2.7"), [1, 3]),
        (("--station", "192.0.2"), []),
        (("--station", ORIGIN.station), [1]),
        (("--station", f"{ORIGIN.station}x"), []),
        (("--since", "2026-11-21T10:16:40Z"), [2, 3]),
        (("--since", "2026-11-21T12:16:40+02:00"), [2, 3]),
        (("--until", "2026-11-21T10:16:40"), [1]),
        (("--since", "2026-11-22"), []),
        (("--serial", issued(3).record.certificate_serial.hex()), [3]),
        (("--proven",), [1]),
        (("--unproven",), [2, 3]),
        (("--unproven", "--station", "192.0.2.7"), [3]),
    ],
)
def test_search_and_export_find_the_same(run_ledger: RunLedger, options: tuple[str, ...], found: list[int]) -> None:
    searched = run_ledger("search", "--json", *options)
    assert (searched.code, searched.err) == (0, "")
    assert numbers(searched.out) == found
    exported = run_ledger("export", "--format", "jsonl", *options)
    assert exported.out == searched.out
    assert exported.err == f"{len(found)} certificate{'' if len(found) == 1 else 's'} exported.\n"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--chip", "0123"), "'0123' is not a serial number"),
        (("--chip", "01230000000000 1EE"), "is not a serial number"),
        (("--signer", "x" * 18), "is not a serial number"),
        (("--serial", "0"), "is not the serial number of a certificate"),
        (("--serial", "00" * 21), "is not the serial number of a certificate"),
        (("--since", "yesterday"), "'yesterday' is not a time"),
        (("--until", "0001-01-01T00:00:00+23:00"), "is not a time"),
        (("--since", "2026-11-21", "--until", "2026-11-21"), "--until must be later"),
    ],
)
def test_wrong_value_is_refused(run_ledger: RunLedger, options: tuple[str, ...], says: str) -> None:
    for words in (("search",), ("export", "--format", "csv")):
        ended = run_ledger(*words, *options)
        assert ended.code == 2
        assert says in ended.err
        assert ended.out == ""


def test_search_prints_a_line_for_each_certificate(run_ledger: RunLedger) -> None:
    ended = run_ledger("search")
    assert ended.out.splitlines()[0].split("  ")[:3] == [
        "2026-11-21T10:15:40Z",
        chip_serial(1).hex().upper(),
        issued(1).record.certificate_serial.hex().upper(),
    ]
    assert [line.split()[3:5] for line in ended.out.splitlines()] == [
        ["proven", "good"],
        ["unproven", "-"],
        ["unproven", "set-aside"],
    ]
    assert ended.err == "3 certificates found.\n"


def test_every_field_is_exported(run_ledger: RunLedger) -> None:
    record = issued(1).record
    row, *_ = map(json.loads, run_ledger("export", "--format", "jsonl").out.splitlines())
    assert row == {
        "index": 0,
        "time": "2026-11-21T10:15:40Z",
        "chip_serial": chip_serial(1).hex().upper(),
        "signer_serial": SIGNER.serial.hex().upper(),
        "signer_name": record.signer_name,
        "signer_id": "C48B",
        "certificate_serial": record.certificate_serial.hex().upper(),
        "public_key": record.public_key.hex().upper(),
        "compressed": record.compressed.hex().upper(),
        "documents": record.documents,
        "certificate": base64.b64encode(record.certificate).decode(),
        "client": "192.0.2.7:40312",
        "revision": "00006002",
        "config_revision": None,
        "proven": "2026-11-21T10:15:40Z",
        "fate": "good",
        "station": "line-3",
        "order": "2026-117",
        "product": "gateway",
        "unit": "0004A3FFFE0B2C11",
        "label": 'Gerät "7"',
        "request": bytes(range(16)).hex(),
        "revoked": None,
    }
    assert tuple(row) == COLUMNS


def test_columns_are_those_of_the_page() -> None:
    table = PAGE.split("### Fields\n", 1)[1].split("\n#", 1)[0]
    assert tuple(line.split("`")[1] for line in table.splitlines() if line.startswith("| `")) == COLUMNS


def test_csv_and_json_lines_say_the_same(run_ledger: RunLedger) -> None:
    text = run_ledger("export", "--format", "csv").out
    assert text.count("\r\n") == 4
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    objects = [json.loads(line) for line in run_ledger("export", "--format", "jsonl").out.splitlines()]
    assert rows == [{name: "" if value is None else str(value) for name, value in each.items()} for each in objects]


def test_csv_of_nothing_has_its_columns(run_ledger: RunLedger) -> None:
    assert run_ledger("export", "--format", "csv", "--since", "2030-01-01").out == ",".join(COLUMNS) + "\r\n"


@pytest.mark.parametrize("name", ["=1+1", "+49", "-1", "@SUM(A1)", "\t=1", '=HYPERLINK("http://x")'])
def test_name_that_a_spreadsheet_would_compute_is_a_text(
    open_server: SqlLedger, run_ledger: RunLedger, name: str
) -> None:
    step(open_server, changed(issued(4, after=180), signer_name=name))
    text = run_ledger("export", "--format", "csv", "--chip", chip_serial(4).hex()).out
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["signer_name"] == f"'{name}"
    assert row["index"] == "5"


@given(st.lists(st.text(), min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_line_of_csv_is_read_as_it_was_and_starts_no_formula(fields: list[str]) -> None:
    line = CsvLines().line(fields)
    (read,) = csv.reader(io.StringIO(line, newline="")) if line != "\r\n" else ([""],)
    assert [field.removeprefix("'") for field in read] == [field.removeprefix("'") for field in fields]
    assert not any(field[:1] in ("=", "+", "-", "@", "\t", "\r", "\n") for field in read if field)


def test_search_sees_what_the_server_has_just_issued(open_server: SqlLedger, run_ledger: RunLedger) -> None:
    step(open_server, issued(4, after=180))
    assert numbers(run_ledger("search", "--json").out) == [1, 2, 3, 4]


def test_reading_commands_cannot_write(open_server: SqlLedger, tmp_path: Path) -> None:
    with ledger_for_reading(LedgerPlace(tmp_path)) as ledger, pytest.raises(Exception, match="for reading only"):
        ledger.commit(Changes(events=[issued(4)]))
    connection = sqlite3.connect(f"{(tmp_path / FILE_NAME).as_uri()}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM entries")
    connection.close()


@pytest.mark.parametrize("words", [("show",), ("search",), ("export", "--format", "csv")])
def test_folder_without_a_ledger_is_refused_and_not_touched(tmp_path: Path, words: tuple[str, ...]) -> None:
    ended = run_in_process(command, "ledger", *words, "--data", str(tmp_path))
    assert ended.code == 2
    assert "[file-unreadable]: There is no ledger" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_show_counts_entries_certificates_and_signers(open_server: SqlLedger, run_ledger: RunLedger) -> None:
    ended = run_ledger("show")
    assert ended.code == 0
    lines = [line.split(maxsplit=1) for line in ended.out.splitlines()]
    assert ["entries:", "5"] in lines
    assert ["certificates:", "3"] in lines
    assert ["proven:", "1"] in lines
    assert f"({OTHER_SIGNER.hex().upper()}, Other): 1 certificate, 0 proven" in ended.out
    assert f"({SIGNER.serial.hex().upper()}, {issued(1).record.signer_name}): 2 certificates, 1 proven" in ended.out
    shown = json.loads(run_ledger("show", "--json").out)
    head = open_server.head()
    assert (shown["entries"], shown["root"], shown["epoch"]) == (5, head.root.hex(), 1)
    assert shown["ledger_id"] == open_server.identity.ledger_id.hex()
    assert [each["certificates"] for each in shown["signers"]] in ([2, 1], [1, 2])
    assert shown["newest"] == f"{NOW:%Y-%m-%dT}10:17:40Z"


def test_show_of_an_empty_ledger(tmp_path: Path) -> None:
    open_ledger(tmp_path / FILE_NAME, NOW).close()
    ended = run_in_process(command, "ledger", "show", "--data", str(tmp_path))
    assert ["certificates:", "0"] in [line.split() for line in ended.out.splitlines()]
    assert ["newest:", "-"] in [line.split() for line in ended.out.splitlines()]
