"""The command `provisioning-server revoke`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import click

from atcaprov.errors import UsageError
from atcaprov.program.console_text import counted, say
from atcaprov.program.serial_number import SerialNumber
from provisioning_server.commands.administer import administer
from provisioning_server.commands.certificate_columns import certificate_fields, certificate_line
from provisioning_server.commands.confirmation import confirmed
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.commands.parameter_types import CertificateSerial, Duration, Moment
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.store import StoredCertificate
from provisioning_server.revocation.reasons import MEANINGS, read_reason
from provisioning_server.revocation.revoke import REVOKE, RevocationOrder, checked_note
from provisioning_server.revocation.selection import Chosen, Selection, choose

_LISTED: Final = 20
_RESOLUTION: Final = timedelta(seconds=1)
"""Times of the ledger are in whole seconds."""
_REASONS: Final = "\n".join(f"  {reason:24}{meaning}" for reason, meaning in MEANINGS.items())
_WAYS: Final = "a serial number, --chip, --batch (or --since, --until), or --unproven"


@click.command(
    "revoke",
    epilog=f"\b\nReasons (RFC 5280, 5.3.1):\n{_REASONS}",
)
@click.argument("serial", metavar="[SERIAL]", type=CertificateSerial(), required=False)
@click.option("--chip", metavar="SN", type=SerialNumber(), help="All certificates of the chip with this serial number.")
@click.option("--batch", "order", metavar="ORDER", help="All certificates of this work order.")
@click.option("--since", metavar="TIME", type=Moment(), help="Those issued at this time (UTC) or later.")
@click.option("--until", metavar="TIME", type=Moment(), help="Those issued before this time.")
@click.option("--unproven", is_flag=True, help="Those whose chip has not proven its key.")
@click.option(
    "--older-than", metavar="DURATION", type=Duration(), help="With --unproven: issued at least so long ago, as 24h."
)
@click.option("--signer", metavar="SN", type=SerialNumber(), help="Only of the signer with this serial number.")
@click.option("--reason", metavar="WORD", required=True, help="Why; the words are listed below.")
@click.option("--note", metavar="TEXT", default="", help="What happened, for the ledger. It is on no list.")
@click.option("--dry-run", is_flag=True, help="Show what would be revoked, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Show the certificates as one JSON object per line.")
@ledger_options
def command(
    serial: bytes | None,
    chip: bytes | None,
    order: str | None,
    since: datetime | None,
    until: datetime | None,
    unproven: bool,
    older_than: timedelta | None,
    signer: bytes | None,
    reason: str,
    note: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    place: LedgerPlace,
) -> None:
    """Take certificates back, permanently, after showing which.

    Nothing is done for those that are revoked already. The server's list of revoked certificates has them when their
    signer has signed the next one: see 'provisioning-server crl'.
    """
    if older_than is not None:
        if not unproven:
            raise click.UsageError("--older-than is for --unproven.")
        until = min(filter(None, (until, datetime.now(UTC) - older_than + _RESOLUTION)))
    selection = Selection(serial, chip, order, since, until, signer, unproven)
    _require_one_way(selection)
    why, note = read_reason(reason), checked_note(note)
    with ledger_for_reading(place) as ledger:
        chosen = choose(ledger, selection)
    _show(chosen, as_json=as_json)
    if not chosen.certificates or dry_run:
        return
    count = counted(len(chosen.certificates), "certificate")
    if not confirmed(f"Revoke {count} permanently ({why})?", yes=yes):
        say("Nothing was revoked.", err=True)
        return
    order_to_revoke = RevocationOrder(selection, why, chosen.digest, note)
    done = administer(place, REVOKE, order_to_revoke.to_json())
    say(f"{counted(done['revoked'], 'certificate')} revoked.", err=True)


def _require_one_way(selection: Selection) -> None:
    batch = selection.order is not None or selection.since is not None or selection.until is not None
    ways = [selection.serial is not None, selection.chip is not None, selection.unproven]
    ways.append(batch and not selection.unproven)
    if sum(ways) != 1:
        raise UsageError(f"Certificates are named in {sum(ways) or 'no'} ways.", advice=f"Give one of {_WAYS}.")


def _show(chosen: Chosen, *, as_json: bool) -> None:
    """Show what is going to be revoked: all as JSON, or the first ones and how many there are."""
    if as_json:
        for stored in chosen.certificates:
            say(json.dumps(certificate_fields(stored)))
        return
    for line in _lines(chosen.certificates):
        say(line)
    say(f"{counted(len(chosen.certificates), 'certificate')} to revoke.", err=True)
    if chosen.revoked:
        say(f"{counted(len(chosen.revoked), 'certificate')} revoked already.", err=True)


def _lines(certificates: Sequence[StoredCertificate]) -> list[str]:
    lines = [certificate_line(each) for each in certificates[:_LISTED]]
    more = len(certificates) - len(lines)
    return [*lines, *([f"... and {more} more; --json lists all"] if more else [])]
