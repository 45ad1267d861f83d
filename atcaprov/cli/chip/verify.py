"""`atcaprov chip verify`: is this chip good?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from atcaprov.certs.certificate_files import read_certificate
from atcaprov.certs.issued_record import IssuedRecord, read_signing_log
from atcaprov.cli.chip.certificate_texts import chain_object, error_object
from atcaprov.cli.chip.issuer_options import issuer_options, known_issuer
from atcaprov.cli.chip.options import FILE, device_option, hex_text, json_option, say_json, trace_option
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import Code, UsageError
from atcaprov.inspection.genuine import prove_genuine
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from atcaprov.inspection.verification import StepOutcome, TrustSources, Verification, verify_chip
from atcaprov.program.console_text import say

_WORDS = {StepOutcome.PASSED: "OK", StepOutcome.FAILED: "FAILED", StepOutcome.NOT_CHECKED: "not checked"}
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("verify")
@device_option
@issuer_options
@click.option("--log", "logs", metavar="FILE", type=FILE, multiple=True, help="Signing log of the server; repeatable.")
@click.option("--server-data", metavar="FOLDER", type=_FOLDER, help="The server's --data folder, with all its logs.")
@click.option("--genuine", is_flag=True, help="Require the maker's chain, to Microchip's root or that of --root.")
@json_option
@trace_option
def command(
    url: str,
    logs: tuple[Path, ...],
    server_data: Path | None,
    genuine: bool,
    as_json: bool,
    trace: Path | None,
    **issuer: Any,
) -> int:
    """Verify a chip: its certificates, its key, dates and records.

    The certificates must lead to a root, and the key proves itself by one fresh signature. The chip is not changed.
    Exit codes: 0 good, 6 good, but finished by another signer or server, or not provisioned, 7 not good, others as
    of every program.
    """
    known = known_issuer(**issuer)
    if genuine and (known.definitions is not None or known.device_definition is not None):
        raise UsageError("--genuine asks for the maker's certificates, not for those of a signer of your own.")
    paths = _log_paths(logs, server_data)
    with open_read_only(url, trace=trace) as device:
        if genuine:
            prove_genuine(device, root=known.root)
        chip = read_snapshot(device)
        sources = TrustSources(
            datetime.now(UTC),
            definitions=known.definitions,
            device_definition=known.device_definition,
            root=known.root,
            issuers=known.issuers,
            records=_records(paths, chip.serial_number) if paths else None,
            files=_certificate_files(server_data, chip.serial_number),
        )
        result = verify_chip(device, chip, sources)
    if as_json:
        say_json(_object(chip, result))
    else:
        say("\n".join(_lines(chip, result)))
    if result.error is not None:
        raise result.error
    return 0


def _log_paths(logs: tuple[Path, ...], server_data: Path | None) -> list[Path]:
    """Return the signing logs that are named, and all of the server's folder."""
    if server_data is None:
        return list(logs)
    found = sorted((server_data / "logs").glob("signing-*.tsv"))
    if not found:
        raise UsageError(
            f"{server_data} holds no signing log (logs/signing-*.tsv).",
            advice="Give the folder that the server has as --data.",
            code=Code.FILE_UNREADABLE,
        )
    return [*logs, *found]


def _records(paths: Sequence[Path], chip_serial: bytes) -> list[IssuedRecord]:
    """Return the records of one chip; a log may have millions of others."""
    found = []
    for path in paths:
        try:
            found += [record for _, _, record in read_signing_log(path) if record.chip_serial == chip_serial]
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE) from error
    return found


def _certificate_files(server_data: Path | None, chip_serial: bytes) -> list[bytes]:
    """Return the device certificates (DER) that the server's folder `certs` holds for a chip."""
    if server_data is None:
        return []
    name = chip_serial.hex().upper()
    paths = sorted((server_data / "certs").glob(f"{name}*_device.pem"))
    return [read_certificate(path) for path in paths]


def _lines(chip: ChipSnapshot, result: Verification) -> Iterator[str]:
    yield f"{'device':<16}{chip.url}"
    yield f"{'serial number':<16}{hex_text(chip.serial_number)}"
    for step in result.steps:
        yield f"{step.name:<16}{_WORDS[step.outcome]}: {step.what}"
    yield f"{'verdict':<16}{result.verdict}"


def _object(chip: ChipSnapshot, result: Verification) -> dict[str, Any]:
    return {
        "device": chip.url,
        "serial_number": hex_text(chip.serial_number),
        "verdict": result.verdict,
        "steps": [{"name": step.name, "outcome": step.outcome, "message": step.what} for step in result.steps],
        "chain": None if result.chain is None else chain_object(result.chain),
        "error": None if result.error is None else error_object(result.error),
    }
