"""`atcaprov import`: store a certificate that was made elsewhere on the chip that holds its key."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from atcaprov.bounded_reading import read_text
from atcaprov.certs.certificate_files import read_certificates
from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.keys import key_id
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.cli.chip.options import FILE, device_option, hex_text, json_option, say_json
from atcaprov.cli.new_file import refuse_existing, write_new_file
from atcaprov.device.device import Device
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import UsageError
from atcaprov.importing.certificate_import import ImportOrder, ImportPlan, plan_import, run_import
from atcaprov.importing.chip_session import look_at
from atcaprov.program.console_text import say
from atcaprov.program.exit_codes import shown_details

_SLOT: Final = click.IntRange(0, SLOT_COUNT - 1)
_FORMS: Final = {"compressed": "compressed", "x509": "as plain X.509"}


@click.command("import")
@click.argument("certificate", type=FILE)
@device_option
@click.option(
    "--chain", "chain", type=FILE, multiple=True, help="Certificates of its issuers: PEM, DER or PKCS#7. Repeatable."
)
@click.option(
    "--definition", "definitions", type=FILE, multiple=True, help="Definition (JSON) of the certificate. Repeatable."
)
@click.option("--slot", "x509_slot", metavar="SLOT", type=_SLOT, help="Store it as plain X.509 in this slot.")
@click.option("--key-slot", metavar="SLOT", type=_SLOT, help="Slot of its key; default: whichever holds it.")
@click.option("--out", type=FILE, help="New file for the certificate and its issuers (PEM), for the firmware.")
@click.option("--overwrite", is_flag=True, help="Overwrite what the slots hold, or may hold.")
@click.option("--dry-run", is_flag=True, help="Check everything and write nothing.")
@json_option
def command(
    certificate: Path,
    url: str,
    chain: tuple[Path, ...],
    definitions: tuple[Path, ...],
    x509_slot: int | None,
    key_slot: int | None,
    out: Path | None,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Store a certificate of another CA on the chip with its key.

    It is compressed if a definition fits; otherwise --slot stores it as plain X.509, and --out writes it for the
    firmware. Everything is checked before the chip is changed. Nothing is locked.
    """
    if x509_slot is not None and definitions:
        raise UsageError("--slot stores the certificate as it is, --definition compressed: give one of them.")
    order = ImportOrder(
        tuple(der for path in (certificate, *chain) for der in read_certificates(path)),
        tuple(CertificateDefinition.from_json(read_text(path)) for path in definitions),
        key_slot,
        x509_slot,
        out is not None,
        overwrite,
    )
    _import_certificate(url, order, out, dry_run=dry_run, as_json=as_json)


def _import_certificate(url: str, order: ImportOrder, out: Path | None, *, dry_run: bool, as_json: bool) -> None:
    if out is not None:
        refuse_existing(out)
    with open_read_only(url) as device:
        plan = plan_import(
            look_at(device, key_slot=order.key_slot, certificates=order.certificates), order, datetime.now(UTC)
        )
    if not dry_run:
        if plan.writes:
            with Device.open(url) as device:
                run_import(device, plan)
        if out is not None:
            write_new_file(out, plan.chain.pem)
    if as_json:
        say_json(_facts(plan, out, dry_run=dry_run))
    else:
        _tell(plan, out, dry_run=dry_run)


def _facts(plan: ImportPlan, out: Path | None, *, dry_run: bool) -> dict[str, Any]:
    return {
        "serial_number": hex_text(plan.snapshot.serial_number),
        "key_slot": plan.key_slot,
        "key_id": hex_text(key_id(plan.chain.public_key)),
        "form": plan.form,
        "certificate_size": len(plan.chain.certificate),
        "issuers": len(plan.chain.issuers),
        "signature_verified": plan.chain.is_verified,
        "definitions": [part.definition.name for part in plan.parts],
        "slots": [
            {
                "slot": write.content.slot,
                "offset": write.content.offset,
                "size": len(write.content.data),
                "written": not write.is_there and not dry_run,
            }
            for write in plan.writes
        ],
        "verified": bool(plan.writes) and plan.can_be_verified and not dry_run,
        "why_not_stored": plan.why_not_stored or None,
        "differences": list(plan.differences),
        "out": None if out is None else str(out),
        "dry_run": dry_run,
    }


def _tell(plan: ImportPlan, out: Path | None, *, dry_run: bool) -> None:
    serial = plan.snapshot.serial_number.hex().upper()
    say(f"Chip {serial}: the certificate is for the key in slot {plan.key_slot}.")
    if plan.why_not_stored:
        say(f"It is not stored on the chip: {plan.why_not_stored}")
        say("".join(f"  {line}\n" for line in shown_details(plan.differences)), end="")
    for write in plan.writes:
        content = write.content
        done = "there already" if write.is_there else ("would be written" if dry_run else "written")
        end = content.offset + len(content.data) - 1
        say(f"Slot {content.slot}, bytes {content.offset}-{end}: {done}.")
    if out is not None:
        say(f"Certificate and issuers {'would be ' if dry_run else ''}written to {out}.")
    for line in _remarks(plan, dry_run=dry_run):
        say(line)


def _remarks(plan: ImportPlan, *, dry_run: bool) -> list[str]:
    lines = []
    if not plan.chain.is_verified:
        lines.append("Its signature was not verified: no certificate of its issuer was given (--chain).")
    if plan.form == "compressed" and len(plan.parts) == 1:
        lines.append("The issuer's certificate is not stored on the chip: the firmware must have it.")
    if plan.writes and not plan.can_be_verified:
        lines.append("What is written cannot be read before the data lock, so it was not verified.")
    elif plan.writes and not dry_run:
        lines.append(f"Read back and compared: stored {_FORMS[plan.form]}.")
    return [*lines, "Nothing was changed."] if dry_run else lines
