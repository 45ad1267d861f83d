"""docs/reference/ledger.md names every table, column, kind of entry and field, and no others."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from pathlib import Path

import pytest

from provisioning_server.ledger.changes import Event
from provisioning_server.ledger.entry_bodies import KINDS, encode
from provisioning_server.ledger.open_ledger import open_ledger
from provisioning_server.ledger.sql import schema
from tests.provisioning_server.ledger.events import NOW, ONE_OF_EACH

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "ledger.md").read_text("utf-8")


def _section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def _names(text: str) -> set[str]:
    """Names in backquotes, without what stands in parentheses or brackets."""
    return set(re.findall(r"`([a-z_-]+)`", re.sub(r"\([^)]*\)", "", text)))


def test_tables_and_columns_are_listed(tmp_path: Path) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", _section("Tables"), re.MULTILINE)
    open_ledger(tmp_path / "ledger.sqlite3", NOW).close()
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        columns = {table: {each[1] for each in connection.execute(f"PRAGMA table_info({table})")} for table in tables}
    assert {table: _names(text) for table, text in rows} == columns


def test_version_is_that_of_the_program() -> None:
    assert f"\nVersion {len(schema.MIGRATIONS)}. " in PAGE


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_fields_of_an_entry_are_listed(event: Event) -> None:
    kind = KINDS[type(event)]
    (text,) = re.findall(rf"^`{kind}`: (.*?)(?=^`[a-z-]+`: |^##+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    table = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    named = _names(" ".join(table) if table else text)
    of_this_kind = [json.loads(encode(each)).keys() for each in ONE_OF_EACH if type(each) is type(event)]
    assert named == set().union(*of_this_kind) - {"kind"}
