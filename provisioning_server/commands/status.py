"""The command `provisioning-server status`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import click

from atcaprov.bounded_reading import is_folder
from atcaprov.errors import AtcaProvError, UsageError
from atcaprov.program.console_text import counted, say
from atcaprov.terminal.printable import printable
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.control.client import NoServerError, run_command
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.server_status import ledger_status

NOT_RUNNING: Final = 12
EXIT_CODES: Final = {"ok": 0, "degraded": 10, "failing": 11}
"""By the health of a server that runs."""


@click.command("status")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
@ledger_options
def command(as_json: bool, place: LedgerPlace) -> int:
    """Show how the running server is.

    The exit code is 0 if it issues, 10 if it issues but something is wrong, 11 if it issues nothing, 12 if no server
    runs.
    """
    if not is_folder(place.data):
        raise UsageError(f"There is no data folder {place.data}.", advice="Name the folder of the server with --data.")
    try:
        status = run_command(place.data, "status", {})
    except NoServerError as error:
        status = {"running": False, "why": str(error), "ledger": _ledger(place)}
    if as_json:
        say(json.dumps(status))
    else:
        for line in _lines(status):
            say(printable(line))
    return EXIT_CODES.get(status["health"], EXIT_CODES["failing"]) if status["running"] else NOT_RUNNING


def _ledger(place: LedgerPlace) -> dict[str, Any]:
    """Return the section of the ledger, which no server has open, or why there is none."""
    try:
        with ledger_for_reading(place) as ledger:
            return ledger_status(ledger)
    except AtcaProvError as error:
        return {"error": error.code, "what": error.what}


def _lines(status: dict[str, Any]) -> Iterator[str]:
    if status["running"]:
        yield f"Provisioning Server {status['version']}, running since {status['since']}."
        yield f"Health: {status['health']}{', ' if status['code'] else ''}{status['code']}."
        if not status["ready"]:
            yield f"Not ready: {status['not_ready']}."
        if not status["memory_locked"]:
            yield "Memory: not locked, passwords and keys may reach the swap."
        yield f"Addresses: {', '.join(status['addresses']) or 'none yet'}."
        if status["web"]:
            yield f"Web page: {status['web']}."
        yield from map(_signer, status["signers"])
        yield from (f"Warning: {warning}" for warning in status["warnings"])
        yield from _stations(status)
        yield from _orders(status["orders"])
    else:
        yield status["why"]
    yield _ledger_line(status["ledger"])


def _stations(status: dict[str, Any]) -> Iterator[str]:
    yield f"{counted(len(status['clients']), 'client')} connected."
    if isinstance(status["stations"], list) and status["stations"]:
        shown = (f"{each['name']}{'' if each['connected'] else ' (away)'}" for each in status["stations"])
        yield f"Stations: {', '.join(shown)}."


def _orders(orders: Any) -> Iterator[str]:
    for each in orders if isinstance(orders, list) else ():
        left = "" if each["left"] is None else f", {each['left']} left"
        ends = "" if each["ends"] is None else f", until {each['ends']}"
        yield f"Order {each['name']}: {each['issued']} issued{left}{ends}."


def _signer(signer: dict[str, Any]) -> str:
    left = "" if signer["quota_left"] is None else f", {counted(signer['quota_left'], 'signature')} left"
    warnings = "".join(f" Warning: {warning}" for warning in signer["warnings"])
    return f"Signer ({signer['serial']}, {signer['name']}): {signer['state']}{left}.{warnings}"


def _ledger_line(ledger: dict[str, Any]) -> str:
    if "error" in ledger:
        return f"Ledger: {ledger['error']}. {ledger['what']}"
    intents = f"{counted(ledger['open_intents'], 'intent')} open"
    return f"Ledger: {counted(ledger['entries'], 'entry', 'entries')}, root {ledger['root']}, {intents}."
