"""The command `provisioning-server crl publish`."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from typing import Any

import click

from atcaprov.errors import UsageError
from atcaprov.program.console_text import counted, say
from atcaprov.program.serial_number import SerialNumber
from provisioning_server.commands.confirmation import confirmed
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.control.client import run_command
from provisioning_server.ledger.ledger_place import LedgerPlace


@click.command("publish")
@click.argument("signers", metavar="[SIGNER]...", type=SerialNumber(), nargs=-1)
@click.option("--yes", is_flag=True, help="Do not ask before signatures of a quota are used.")
@ledger_options
def command(signers: tuple[bytes, ...], yes: bool, place: LedgerPlace) -> None:
    """Let signers sign their next lists, and publish these.

    Without a serial number all signers of the running server do that are unlocked. A list costs a signer module with a
    quota one signature, and the command asks before.
    """
    connected = run_command(place.data, "crl signers", {})["signers"]
    chosen = _chosen(connected, signers)
    costs = [f"{each['name']}: 1 of {each['remaining']} signatures" for each in chosen if each["remaining"] is not None]
    for cost in costs:
        say(f"It costs the quota of {cost}.", err=True)
    if costs and not confirmed(f"Sign {counted(len(chosen), 'list')}?", yes=yes):
        say("Nothing was signed.", err=True)
        return
    for each in chosen:
        done = run_command(place.data, "crl publish", {"signer": each["serial"], "by": getpass.getuser()})
        say(f"{each['name']}: CRL {done['number']} in {done['file']}")


def _chosen(connected: Sequence[dict[str, Any]], wanted: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return the signers that are named, or all that are ready; raises UsageError for one that is not there."""
    by_serial = {each["serial"]: each for each in connected}
    for serial in wanted:
        if serial.hex() not in by_serial:
            raise UsageError(
                f"The signer {serial.hex().upper()} is not connected to the server.",
                advice="Connect it, or check its serial number with 'provisioning-server crl list'.",
            )
    if wanted:
        return [by_serial[serial.hex()] for serial in dict.fromkeys(wanted)]
    ready = [each for each in connected if each["ready"]]
    if not ready:
        raise UsageError("No signer of the server is unlocked.", advice="Give the signers their passwords first.")
    return ready
