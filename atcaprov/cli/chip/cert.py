"""`atcaprov chip cert`: the certificates on a chip, whoever wrote them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from atcaprov.bounded_reading import status
from atcaprov.cli.chip.certificate_texts import chain_lines, chain_object, chain_pem, error_object
from atcaprov.cli.chip.issuer_options import KnownIssuer, issuer_options, known_issuer
from atcaprov.cli.chip.options import FILE, device_option, hex_text, json_option, say_json, trace_option
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.inspection.certificates.defined import defined_chain, defined_device
from atcaprov.inspection.certificates.found import FoundChain
from atcaprov.inspection.certificates.leftovers import leftovers
from atcaprov.inspection.certificates.search import completed, found_chains
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from atcaprov.inspection.verdict import set_aside
from atcaprov.program.console_text import say


@click.command("cert")
@device_option
@issuer_options
@click.option(
    "--out", metavar="FILENAME", type=FILE, help="New file for the chain (PEM), the chip's certificate first."
)
@click.option("--pem", is_flag=True, help="Print the chain as PEM instead.")
@json_option
@trace_option
def command(url: str, out: Path | None, pem: bool, as_json: bool, trace: Path | None, **issuer: Any) -> int:
    """Find and rebuild the certificates on a chip. The chip is not changed.

    Without options that name a signer, all public layouts are tried: Microchip's Trust parts, NervesKey, Arduino,
    esp-cryptoauth-utility, the AWS zero touch kit, and whole X.509 certificates.

    Exit codes: 0 a chain was found, 6 nothing is provisioned, 7 keys or certificates without a chain,
    others as of every program.
    """
    if out is not None and status(out) is not None:
        raise UsageError(f"{out} already exists.", advice="Choose another file.", code=Code.FILE_UNWRITABLE)
    known = known_issuer(**issuer)
    with open_read_only(url, trace=trace) as device:
        chip = read_snapshot(device)
    chains, problems = _found(chip, known)
    if as_json:
        say_json(_object(chip, chains, problems))
    elif pem and chains:
        say(chain_pem(chains[0]).decode(), end="")
    else:
        say("\n".join(_lines(chip, chains, problems)))
    if out is not None and chains:
        _write(out, chain_pem(chains[0]))
    if any(chain.is_signed is not False for chain in chains):
        return 0
    raise problems[0]


def _found(chip: ChipSnapshot, known: KnownIssuer) -> tuple[list[FoundChain], list[AtcaProvError]]:
    """Return the chains and what makes no chain; with definitions, only what they describe."""
    try:
        if known.definitions is not None:
            return [completed(defined_chain(chip, known.definitions), known.issuers)], []
        if known.device_definition is not None:
            return [completed(defined_device(chip, known.device_definition, known.issuers), known.issuers)], []
    except AtcaProvError as error:
        return [], [set_aside(error)]
    chains = found_chains(chip, known.issuers)
    return chains, list(leftovers(chip, chains))


def _lines(chip: ChipSnapshot, chains: Sequence[FoundChain], problems: Sequence[AtcaProvError]) -> Iterator[str]:
    yield f"{'device':<16}{chip.url}"
    yield f"{'serial number':<16}{hex_text(chip.serial_number)}"
    for chain in chains:
        yield ""
        yield from chain_lines(chain)
    for problem in problems if chains else ():
        yield ""
        yield f"[{problem.code}] {problem.what}"
        yield problem.advice


def _object(chip: ChipSnapshot, chains: Sequence[FoundChain], problems: Sequence[AtcaProvError]) -> dict[str, Any]:
    return {
        "device": chip.url,
        "serial_number": hex_text(chip.serial_number),
        "chains": [chain_object(chain) for chain in chains],
        "problems": [error_object(problem) for problem in problems],
    }


def _write(out: Path, data: bytes) -> None:
    try:
        with out.open("xb") as file:
            file.write(data)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error
