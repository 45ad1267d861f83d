"""The command `provisioning-server ledger export`."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from typing import Final

import click

from atcaprov.program.console_text import counted, say
from provisioning_server.commands.certificate_columns import COLUMNS, Field, certificate_fields
from provisioning_server.commands.filter_options import filter_options
from provisioning_server.commands.ledger.csv_lines import CsvLines
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.search import CertificateFilter, find_all

_Rows = Iterator[dict[str, Field]]


@click.command("export")
@click.option(
    "--format", "form", type=click.Choice(["csv", "jsonl"]), required=True, help="CSV, or JSON with an object per line."
)
@filter_options
@ledger_options
def command(form: str, wanted: CertificateFilter, place: LedgerPlace) -> None:
    """Write certificates to standard output, as CSV or JSON.

    They come oldest first. How many were written is said at the end, on standard error: an export without that line is
    not complete.
    """
    exported = 0

    def rows() -> _Rows:
        nonlocal exported
        for stored in find_all(ledger, wanted):
            exported += 1
            yield certificate_fields(stored)

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")  # on every system the same bytes
    with ledger_for_reading(place) as ledger:
        for line in _FORMS[form](rows()):
            sys.stdout.write(line)
        sys.stdout.flush()
    say(f"{counted(exported, 'certificate')} exported.", err=True)


def _csv(rows: _Rows) -> Iterator[str]:
    lines = CsvLines()
    yield lines.line(COLUMNS)
    for row in rows:
        yield lines.line(row.values())


def _json_lines(rows: _Rows) -> Iterator[str]:
    for row in rows:
        yield json.dumps(row) + "\n"


_FORMS: Final[dict[str, Callable[[_Rows], Iterator[str]]]] = {"csv": _csv, "jsonl": _json_lines}
