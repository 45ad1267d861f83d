"""The command `provisioning-server ledger search`."""

from __future__ import annotations

import json

import click

from atcaprov.program.console_text import counted, say
from provisioning_server.commands.certificate_columns import certificate_fields, certificate_line
from provisioning_server.commands.filter_options import filter_options
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.search import CertificateFilter, find_all


@click.command("search")
@filter_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with all fields.")
@ledger_options
def command(wanted: CertificateFilter, as_json: bool, place: LedgerPlace) -> None:
    """Find certificates, by chip, signer, station or time."""
    with ledger_for_reading(place) as ledger:
        found = 0
        for stored in find_all(ledger, wanted):
            found += 1
            say(json.dumps(certificate_fields(stored)) if as_json else certificate_line(stored))
    if not as_json:
        say(f"{counted(found, 'certificate')} found.", err=True)
