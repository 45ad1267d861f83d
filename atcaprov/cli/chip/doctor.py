"""`atcaprov chip doctor`: why a chip, a bus, a certificate or a server does not work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from atcaprov.bounded_reading import read_text
from atcaprov.certs.cert_info import CertInfo
from atcaprov.cli.chip.options import FILE, hex_text, json_option, say_json, trace_option
from atcaprov.config_zone.findings import Allow
from atcaprov.config_zone.zone_file import read_zone_file
from atcaprov.diagnosis.candidate_texts import as_json as port_json
from atcaprov.diagnosis.candidate_texts import described
from atcaprov.diagnosis.doctor import examine
from atcaprov.diagnosis.examination import Examination, Subject
from atcaprov.diagnosis.finding import DiagnosticFinding
from atcaprov.program.console_text import say
from atcaprov.provisioning.profile import DeliveredPart, Profile
from atcaprov.provisioning.server_access import ServerAccess
from atcaprov.provisioning.tcp_client import DEFAULT_HOST, DEFAULT_PORT
from atcaprov.wire.server_place import ServerPlace

_PROBLEM: Final = 1


@click.command("doctor")
@click.option("--device", metavar="URL", help="The chip. Without it, the only one that is connected.")
@click.option(
    "--certinfo", metavar="FILE", type=FILE, help="Cert info file of the signer: checks the server and the signer, too."
)
@click.option("--config", metavar="FILE", type=FILE, help="Configuration zone that the chip should have.")
@click.option(
    "--part",
    type=click.Choice([part.value for part in DeliveredPart]),
    default=DeliveredPart.BLANK.value,
    show_default=True,
    help="How the line's chips are delivered, as for provisioning-client.",
)
@click.option("--host", metavar="NAME/IP", help=f"Provisioning Server.  [default with --certinfo: {DEFAULT_HOST}]")
@click.option("--port", metavar="NUM", type=click.IntRange(1, 65535), help=f"Its port.  [default: {DEFAULT_PORT}]")
@click.option(
    "--server",
    "servers",
    metavar="HOST[:PORT]",
    multiple=True,
    help="Provisioning Server, instead of --host and --port; repeat it for several.",
)
@click.option(
    "--station",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of this computer's enrolment as a station, as for provisioning-client.",
)
@click.option("--plain-network", is_flag=True, help="Ask servers on other computers without TLS.")
@json_option
@trace_option
def command(
    device: str | None,
    certinfo: Path | None,
    config: Path | None,
    part: str,
    host: str | None,
    port: int | None,
    servers: tuple[str, ...],
    station: Path | None,
    plain_network: bool,
    as_json: bool,
    trace: Path | None,
) -> int:
    """Find out why a chip, a bus or a server does not work.

    The chip is not changed. Exit codes: 0 nothing has to be done, 1 a problem was found, 2 wrong usage or file.
    """
    cert_info = None if certinfo is None else CertInfo.parse(read_text(certinfo))
    access = None
    if host is not None or port is not None:
        servers = servers or (str(ServerPlace(host or DEFAULT_HOST, port or DEFAULT_PORT)),)
    if servers or station is not None or cert_info is not None:
        access = ServerAccess.by(servers, station, plain_network=plain_network)
    examination = examine(Subject(device, access, cert_info, _profile(config, part, cert_info), trace))
    if as_json:
        say_json(_object(examination))
    else:
        say("\n".join(_lines(examination)))
    return _PROBLEM if examination.has_problem else 0


def _profile(config: Path | None, part: str, cert_info: CertInfo | None) -> Profile | None:
    """Return the product, as a run with the same options has it; None if nothing tells which it is."""
    if part == DeliveredPart.TFLXTLS:
        # Whether certificates may be overwritten is the operator's decision, not a fault of the part.
        return Profile(part=DeliveredPart.TFLXTLS, replace_certificates=True, replace_foreign_certificates=True)
    if config is not None:
        return Profile(config_zone=read_zone_file(config).zone.data, allow=frozenset(Allow))
    return None if cert_info is None else Profile()


def _lines(examination: Examination) -> Iterator[str]:
    for port in examination.ports:
        yield from described(port)
    if examination.url:
        yield f"Chip: {examination.url}"
    for found in examination.findings:
        yield f"  [{found.code}] {found.what}"
        yield f"      {found.advice} ({found.weight}; board: {found.board})"
    if not examination.findings:
        yield "  Nothing is wrong."
    yield "Good:"
    yield from (f"  {text}" for text in examination.good)
    if examination.not_checked:
        yield "Not checked:"
        yield from (f"  {step.looks_at} ({step.reason})" for step in examination.not_checked)


def _object(examination: Examination) -> dict[str, Any]:
    snapshot = examination.snapshot
    return {
        "device": examination.url or None,
        "serial_number": None if snapshot is None else hex_text(snapshot.serial_number),
        "findings": [_finding(found) for found in examination.findings],
        "good": examination.good,
        "not_checked": [step._asdict() for step in examination.not_checked],
        "ports": [port_json(port) for port in examination.ports],
    }


def _finding(found: DiagnosticFinding) -> dict[str, str]:
    return {
        "code": found.code,
        "weight": found.weight,
        "message": found.what,
        "advice": found.advice,
        "board": found.board,
    }
