"""The command `provisioning-server ledger show`."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from atcaprov.program.console_text import counted, say
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.summary import SignerSummary
from provisioning_server.log_names import label, time_text


@click.command("show")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
@ledger_options
def command(as_json: bool, place: LedgerPlace) -> None:
    """Count certificates, in all and of each signer."""
    with ledger_for_reading(place) as ledger:
        signers = ledger.by_signer()
        summary = _summary(ledger, signers)
    if as_json:
        say(json.dumps({**summary, "signers": [_signer(each) for each in signers]}))
        return
    for name, value in summary.items():
        say(f"{name.replace('_', ' ') + ':':14} {'-' if value is None else value}")
    for each in signers:
        say(_line(each))


def _summary(ledger: SqlLedger, signers: Sequence[SignerSummary]) -> dict[str, str | int | None]:
    head = ledger.head()
    return {
        "ledger_id": ledger.identity.ledger_id.hex(),
        "epoch": ledger.identity.epoch,
        "entries": head.size,
        "root": head.root.hex(),
        "certificates": sum(each.certificates for each in signers),
        "proven": sum(each.proven for each in signers),
        "open_intents": len(ledger.open_intents()),
        "newest": None if ledger.newest is None else time_text(ledger.newest),
    }


def _signer(summary: SignerSummary) -> dict[str, str | int]:
    return {
        "signer_serial": summary.signer_serial.hex().upper(),
        "signer_name": summary.signer_name,
        "certificates": summary.certificates,
        "proven": summary.proven,
        "first": time_text(summary.first),
        "last": time_text(summary.last),
    }


def _line(summary: SignerSummary) -> str:
    count = f"{counted(summary.certificates, 'certificate')}, {summary.proven} proven"
    times = f"from {time_text(summary.first)} to {time_text(summary.last)}"
    return f"{label(summary.signer_serial, summary.signer_name)}: {count}, {times}"
