"""`atcaprov chip inspect`: sort incoming chips, and find those that were seen before."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import click

from atcaprov.cli.chip.options import FILE, json_option, say_json
from atcaprov.inspection.tray import Inspected, Kind, Tray
from atcaprov.inspection.tray_file import TrayFile
from atcaprov.program.console_text import say

_NOT_AS_EXPECTED: Final = 1


@click.command("inspect")
@click.option(
    "--device", "urls", metavar="URL", multiple=True, required=True, help="A chip; may be given several times."
)
@click.option("--tray", metavar="FILENAME", type=FILE, help="File of the chips that were seen; created if it is new.")
@click.option(
    "--expect",
    "expected",
    type=click.Choice([kind.value for kind in Kind]),
    default=Kind.BLANK.value,
    show_default=True,
    help="Kind that every chip should be of.",
)
@json_option
def command(urls: tuple[str, ...], tray: Path | None, expected: str, as_json: bool) -> int:
    """Sort incoming chips, and find those that were seen before.

    Each chip is blank, used, locked, foreign, duplicate, trust-part, wrong-part or unreadable. No chip is changed.
    Exit code 1 if any chip is not of the kind that --expect names.
    """
    with ExitStack() as stack:
        file = stack.enter_context(TrayFile(tray)) if tray is not None else None
        if file is not None and file.damaged:
            _warn_of_damage(file)
        seen = Tray() if file is None else Tray(file.seen, file.records)
        found = [_inspect(url, seen, file, as_json=as_json) for url in urls]
    if not as_json:
        say(_summary(found))
    return 0 if all(chip.kind == expected for chip in found) else _NOT_AS_EXPECTED


def _inspect(url: str, seen: Tray, file: TrayFile | None, *, as_json: bool) -> Inspected:
    found = seen.inspect(url)
    record = None if file is None else file.add(found)
    if as_json:
        say_json(_object(found, record))
    else:
        say(f"{found.kind:<11} {found.serial_number or '-':<18} {found.device}: {found.reason}")
    return found


def _object(found: Inspected, record: int | None) -> dict[str, Any]:
    return {"record": record, **asdict(found), "public_keys": dict(found.public_keys)}


def _summary(found: list[Inspected]) -> str:
    counted = Counter(chip.kind for chip in found)
    return ", ".join([f"{len(found)} inspected", *(f"{counted[kind]} {kind}" for kind in Kind if counted[kind])])


def _warn_of_damage(file: TrayFile) -> None:
    lines = ", ".join(map(str, file.damaged[:10]))
    more = f" and {len(file.damaged) - 10} more" if len(file.damaged) > 10 else ""
    say(f"Warning: damaged lines in the tray file: {lines}{more}. Their chips are not known as seen.", err=True)
