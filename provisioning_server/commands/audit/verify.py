"""The command `provisioning-server audit verify`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from atcaprov.bounded_reading import is_file, read_bytes
from atcaprov.program.console_text import say
from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.signed_note import MAX_NOTE
from atcaprov.transparency.verifier_keys import VerifierKey
from provisioning_server.audit.birth_record import MAX_BIRTH_RECORD, BirthRecord
from provisioning_server.audit.findings import AuditReport
from provisioning_server.audit.log_signer import verifier_key_of
from provisioning_server.audit.log_source import FolderLog, LedgerLog, LogSource
from provisioning_server.audit.verify_birth import verify_birth_record
from provisioning_server.audit.verify_log import AuditOrder, keys_of, verify_log
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.records.last_done import Done, LastDone, note_done

_FOUND = 1
_UNPINNED = "The key of the log was taken from what was checked. Give --key, or anyone may have made it."


@click.command("verify")
@ledger_options
@click.argument("path", metavar="[DIR|FILE]", required=False, type=click.Path(path_type=Path))
@click.option("--key", metavar="VKEY", help="Verifier key of the log, which you have from elsewhere.")
@click.option(
    "--since", metavar="FILE", multiple=True, type=click.Path(path_type=Path),
    help="Older checkpoint, which the log must continue. Repeat it for several.",
)  # fmt: skip
@click.option(
    "--witness", "witnesses", metavar="VKEY", multiple=True,
    help="Verifier key of a witness that must have cosigned. Repeat it for several.",
)  # fmt: skip
@click.option("--allow-rekey", is_flag=True, help="A chip may have certificates for several keys.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    place: LedgerPlace,
    path: Path | None,
    key: str | None,
    since: tuple[Path, ...],
    witnesses: tuple[str, ...],
    allow_rekey: bool,
    as_json: bool,
) -> int:
    """Check a log without trust in its server.

    Offline: an exported folder, a birth record, or the ledger itself. Exit code 0 if everything is as it should
    be, 1 if anything was found.
    """
    pinned = VerifierKey.parse(key) if key else None
    older = tuple(SignedCheckpoint.parse(read_bytes(file, MAX_NOTE)) for file in since)
    order = AuditOrder(pinned, older, keys_of(witnesses), allow_rekey)
    if path is not None and is_file(path):
        report = verify_birth_record(BirthRecord.parse(read_bytes(path, MAX_BIRTH_RECORD)), order)
    else:
        with _source(path, place, order) as (source, found_order):
            report = verify_log(source, found_order)
    if path is None:
        said = f"{report.found} findings." if report.found else "No findings."
        note_done(place.data, Done.AUDIT, LastDone(datetime.now(UTC), said))
    if pinned is None:
        report.remarks.append(_UNPINNED)
    _print_json(report) if as_json else _print(report)
    return _FOUND if report.found else 0


@contextlib.contextmanager
def _source(path: Path | None, place: LedgerPlace, order: AuditOrder) -> Iterator[tuple[LogSource, AuditOrder]]:
    """Open what is to be checked, with the key that lies beside it if none was given."""
    if path is not None:
        folder = FolderLog(path)
        beside = folder.verifier_key()
        yield folder, _with_key(order, VerifierKey.parse(beside) if beside else None)
        return
    with ledger_for_reading(place, check=False) as ledger:
        yield LedgerLog(ledger), _with_key(order, verifier_key_of(ledger))


def _with_key(order: AuditOrder, beside: VerifierKey | None) -> AuditOrder:
    return AuditOrder(order.key or beside, order.since, order.witnesses, order.allow_rekey)


def _print(report: AuditReport) -> None:
    for title, lines in (("Checked", report.checked), ("Note", report.remarks)):
        for line in lines:
            say(f"{title}: {line}")
    if report.counts:
        say("Counted: " + ", ".join(f"{name} {count}" for name, count in sorted(report.counts.items())))
    for finding in report.findings:
        place = "" if finding.index is None else f" entry {finding.index}:"
        say(f"Found [{finding.code}]{place} {finding.text}")
    more = report.found - len(report.findings)
    if more:
        say(f"Found {more} more.")
    say(f"Findings: {report.found}." if report.found else "No findings.")


def _print_json(report: AuditReport) -> None:
    found = {
        "found": report.found,
        "findings": [asdict(finding) for finding in report.findings],
        "checked": report.checked,
        "remarks": report.remarks,
        "counts": dict(sorted(report.counts.items())),
    }
    say(json.dumps(found))
