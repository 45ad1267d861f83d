"""The command `provisioning-server ledger unproven`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click

from atcaprov.product_profile.profile import ProofPolicy, ProofRule
from atcaprov.product_profile.profile_file import read_profiles
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
@click.option(
    "--profile", "profiles", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
    help="Product profile, or a folder of them, as the server has it: leaves out what needs no proof, and tells what is"
    " overdue. Repeat it for several.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line, with all fields.")
@ledger_options
def command(older_than: timedelta | None, profiles: tuple[Path, ...], as_json: bool, place: LedgerPlace) -> None:
    """List certificates whose chip has not proven its key.

    Those that were issued before reports existed, or are answered to no challenge, are left out: no report can come.
    """
    rules = {profile.name: profile.proof for profile in read_profiles(profiles)}
    before = _NO_LIMIT if older_than is None else _now() - older_than + _RESOLUTION
    with ledger_for_reading(place) as ledger:
        found = 0
        for stored in _unproven(ledger, before):
            rule = rules.get(stored.record.origin.product)
            if rule is not None and rule.policy is ProofPolicy.NONE:
                continue
            found += 1
            say(_as_json(stored, rule) if as_json else _as_line(stored, rule))
    if not as_json:
        say(f"{counted(found, 'certificate')} unproven.", err=True)


def _is_overdue(stored: StoredCertificate, rule: ProofRule | None) -> bool:
    if rule is None or rule.policy is not ProofPolicy.REQUIRED:
        return False
    return stored.record.time < _now() - timedelta(hours=rule.within_hours)


def _as_line(stored: StoredCertificate, rule: ProofRule | None) -> str:
    line = certificate_line(stored)
    return f"{line}  overdue" if _is_overdue(stored, rule) else line


def _as_json(stored: StoredCertificate, rule: ProofRule | None) -> str:
    fields = certificate_fields(stored)
    return json.dumps(fields if rule is None else {**fields, "overdue": _is_overdue(stored, rule)})


def _unproven(ledger: Ledger, before: datetime) -> Iterator[StoredCertificate]:
    start = 0
    while page := ledger.unproven(before, start, _PAGE):
        yield from page
        start = page[-1].index + 1
