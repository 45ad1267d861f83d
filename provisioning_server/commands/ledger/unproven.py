"""The command `provisioning-server ledger unproven`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from atcaprov.program.console_text import counted, say
from provisioning_server.commands.certificate_columns import certificate_fields, certificate_line
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.commands.parameter_types import Duration
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.store import Ledger, StoredCertificate

_PAGE: Final = 1000
_RESOLUTION: Final = timedelta(seconds=1)
"""Times of the ledger are in whole seconds."""
_NO_LIMIT: Final = datetime(9999, 1, 1, tzinfo=UTC)


def _now() -> datetime:
    return datetime.now(UTC)


@click.command("unproven")
@click.option(
    "--older-than",
    metavar="DURATION",
    type=Duration(),
    help="Only those issued at least so long ago, such as 30m, 24h or 7d.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with all fields.")
@ledger_options
def command(older_than: timedelta | None, as_json: bool, place: LedgerPlace) -> None:
    """List certificates whose chip has not proven its key.

    Those that were issued before reports existed, or are answered to no challenge, are left out: no report can come.
    """
    before = _NO_LIMIT if older_than is None else _now() - older_than + _RESOLUTION
    with ledger_for_reading(place) as ledger:
        found = 0
        for stored in _unproven(ledger, before):
            found += 1
            say(json.dumps(certificate_fields(stored)) if as_json else certificate_line(stored))
    if not as_json:
        say(f"{counted(found, 'certificate')} unproven.", err=True)


def _unproven(ledger: Ledger, before: datetime) -> Iterator[StoredCertificate]:
    start = 0
    while page := ledger.unproven(before, start, _PAGE):
        yield from page
        start = page[-1].index + 1
