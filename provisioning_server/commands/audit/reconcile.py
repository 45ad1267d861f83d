"""The command `provisioning-server audit reconcile`."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any

import click

from atcaprov.errors import UsageError
from atcaprov.program.console_text import say
from atcaprov.program.serial_number import SerialNumber
from provisioning_server.audit.reconciliation import ChipCount, SignerCount
from provisioning_server.commands.ledger_options import ledger_options
from provisioning_server.commands.open_for_reading import ledger_for_reading
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.ledger.store import SignerTally
from provisioning_server.log_names import label
from signer_module.on_chip.module import SignerModule

_DIFFERS = 1
_NUMBER = re.compile("[0-9]{1,9}", re.ASCII)


@click.command("reconcile")
@ledger_options
@click.option(
    "--module", "modules", metavar="URL", multiple=True,
    help="Signer module whose counter is read, at a device URL that no program uses. Repeat it for several.",
)  # fmt: skip
@click.option(
    "--counter", "counters", metavar="SN=NUMBER", multiple=True,
    help="Counter of a signer as it was read elsewhere. Repeat it for several.",
)  # fmt: skip
@click.option("--chips-in", metavar="NUM", type=click.IntRange(0), help="How many chips were delivered.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    place: LedgerPlace, modules: tuple[str, ...], counters: tuple[str, ...], chips_in: int | None, as_json: bool
) -> int:
    """Compare chips with their fates, and certificates with counters.

    Chips with their fates, and certificates with the counters of signers. Exit code 0 if they meet, 1 if they do not.
    """
    read = dict(_given(counter) for counter in counters) | dict(_read(url) for url in modules)
    with ledger_for_reading(place) as ledger:
        chips = ChipCount(ledger.fates(), chips_in)
        signers = _signers(ledger, read)
    _print_json(chips, signers) if as_json else _print(chips, signers)
    meets = all(signer.meets for signer in signers) and (chips.unseen or 0) >= 0
    return 0 if meets else _DIFFERS


def _given(text: str) -> tuple[bytes, tuple[int, int | None]]:
    name, _, value = text.partition("=")
    if not _NUMBER.fullmatch(value):
        raise UsageError(f"'{text}' is not the serial number of a signer, = and a number.")
    return SerialNumber().convert(name, None, None), (int(value), None)


def _read(url: str) -> tuple[bytes, tuple[int, int | None]]:
    """Read the counter of a module; raises as `SignerModule.open`, UsageError if it has none."""
    with contextlib.closing(SignerModule.open(url)) as module:
        quota = module.read_quota()
        if quota is None:
            raise UsageError(f"The module at {url} has no quota, so its chip counts no signatures.")
        return module.serial, (quota.counter, quota.first)


def _signers(ledger: SqlLedger, read: dict[bytes, tuple[int, int | None]]) -> list[SignerCount]:
    names = {each.signer_serial: each.signer_name for each in ledger.by_signer()}
    counts = []
    for serial in sorted(names.keys() | read.keys()):
        tally = ledger.tally(serial) or SignerTally(0, 0, 0, 0, b"", None)
        counter, first = read.get(serial, (None, None))
        counts.append(SignerCount(serial, names.get(serial, ""), tally, counter, first))
    return counts


def _print(chips: ChipCount, signers: Sequence[SignerCount]) -> None:
    say(f"Chips with a certificate: {chips.certified} = {chips.good} good + {chips.scrap} scrap + {chips.open} open")
    open_fates = {name or "not reported": count for name, count in chips.fates.items() if name not in {"good", "scrap"}}
    for name, count in sorted(open_fates.items()):
        say(f"  open, {name}: {count}")
    if chips.unseen is not None:
        rest = f"without a certificate: {chips.unseen}" if chips.unseen >= 0 else f"too few by {-chips.unseen}"
        say(f"Chips delivered: {chips.delivered}; {rest}")
    for signer in signers:
        say(_line(signer))


def _line(signer: SignerCount) -> str:
    tally = signer.tally
    made = (
        f"{tally.signatures} = {tally.issued} certificates + {tally.crls} CRLs + {tally.lost} lost"
        f" + {tally.accepted} accepted"
    )
    counter = "its counter was not read" if signer.counter is None else f"counter {signer.counter}"
    if signer.counter is not None and signer.expected is None:
        counter += ", and where it began is unknown"
    elif signer.difference:
        counter += f", expected {signer.expected}: {signer.difference:+}"
    if tally.first and signer.first is None:
        counter += f"; signatures from before it was first seen, without an entry: {tally.first}"
    return f"{label(signer.signer_serial, signer.name)}: {made}; {counter}"


def _print_json(chips: ChipCount, signers: Sequence[SignerCount]) -> None:
    found: dict[str, Any] = {
        "chips": {
            "certified": chips.certified,
            "good": chips.good,
            "scrap": chips.scrap,
            "open": chips.open,
            "fates": dict(sorted(chips.fates.items())),
            "delivered": chips.delivered,
            "without_certificate": chips.unseen,
        },
        "signers": [
            {
                "signer_serial": signer.signer_serial.hex().upper(),
                "signer_name": signer.name,
                "certificates": signer.tally.issued,
                "crls": signer.tally.crls,
                "lost": signer.tally.lost,
                "unsure": signer.tally.unsure,
                "accepted": signer.tally.accepted,
                "before": signer.tally.first if signer.first is None else None,
                "counter": signer.counter,
                "expected": signer.expected,
                "difference": signer.difference,
                "meets": signer.meets,
            }
            for signer in signers
        ],
    }
    say(json.dumps(found))
