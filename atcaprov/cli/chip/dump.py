"""`atcaprov chip dump`: all that a chip shows, as a chip file that the software chip opens as its twin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from atcaprov import durable_files
from atcaprov.bounded_reading import may_be_there
from atcaprov.chip.memory_map import SLOT_COUNT, slots_text
from atcaprov.cli.chip.options import FILE, device_option, hex_text, json_option, say_json, trace_option
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import Code, UsageError
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from atcaprov.inspection.twin import twin_file
from atcaprov.program.console_text import say

_OWNER_ONLY: Final = 0o600
"""A twin that is provisioned in a rehearsal holds keys."""


@click.command("dump")
@device_option
@click.option(
    "--out", metavar="FILENAME", type=FILE, help="New chip file: the twin of the chip, for emulator:FILENAME."
)
@json_option
@trace_option
def command(url: str, out: Path | None, as_json: bool, trace: Path | None) -> None:
    """Save all that a chip shows as a chip file, its twin.

    That is its configuration, OTP, readable slots and public keys. The twin is opened as emulator:FILENAME; it shows
    the same and has none of the secrets. --json prints what was read instead of a summary. The chip is not changed,
    and no file is replaced.
    """
    if out is None and not as_json:
        raise UsageError("There is nothing to do.", advice="Give --out FILENAME, --json, or both.")
    if out is not None:
        _require_new(out)
    with open_read_only(url, trace=trace) as device:
        snapshot = read_snapshot(device)
    if out is not None:
        _save(out, twin_file(snapshot))
    if as_json:
        say_json(_object(snapshot))
    elif out is not None:
        say("\n".join(_summary(snapshot, out)))


def _require_new(out: Path) -> None:
    if may_be_there(out):
        raise UsageError(
            f"{out} exists, and a dump replaces no file: it could be a chip with its keys.",
            advice="Name another file, or move this one away.",
            code=Code.FILE_UNWRITABLE,
        )


def _save(out: Path, content: bytes) -> None:
    try:
        durable_files.replace(out, content, _OWNER_ONLY, check=lambda: _require_new(out))
    except OSError as error:
        raise UsageError(
            f"The chip file {out} cannot be written: {error.strerror}.",
            advice="Check that its folder exists and has free space.",
            code=Code.FILE_UNWRITABLE,
        ) from error


def _summary(snapshot: ChipSnapshot, out: Path) -> Iterator[str]:
    read = [str(slot) for slot in sorted(snapshot.slots)]
    keys = [str(slot) for slot in sorted(snapshot.public_keys)]
    yield f"The twin of {hex_text(snapshot.serial_number)} is in {out}: open it as emulator:{out}."
    yield f"Read: configuration{', OTP' if snapshot.otp is not None else ''}, slots {', '.join(read) or 'none'}."
    yield f"Public keys: {', '.join(f'slot {key}' for key in keys) or 'none'}."
    yield f"Not shown by the chip: {_unknown(snapshot)}."


def _unknown(snapshot: ChipSnapshot) -> str:
    if not snapshot.zone.config_locked:
        return "nothing; before the configuration lock there is nothing in data and OTP"
    private = sorted(slot for slot, held in snapshot.keys.items() if held)
    others = [slot for slot in range(SLOT_COUNT) if slot not in snapshot.slots and slot not in snapshot.keys]
    parts = [f"private keys of {slots_text(private)}"] * bool(private)
    parts += [f"content of {slots_text(others)}"] * bool(others)
    parts += ["OTP"] * (snapshot.otp is None)
    return "; ".join(parts) or "nothing"


def _object(snapshot: ChipSnapshot) -> dict[str, Any]:
    return {
        "device": snapshot.url,
        "revision": hex_text(snapshot.revision),
        "serial_number": hex_text(snapshot.serial_number),
        "config": hex_text(snapshot.config),
        "otp": hex_text(snapshot.otp),
        "slots": {str(slot): hex_text(snapshot.slots.get(slot)) for slot in range(SLOT_COUNT)},
        "keys": {str(slot): held for slot, held in sorted(snapshot.keys.items())},
        "public_keys": {str(slot): hex_text(key) for slot, key in sorted(snapshot.public_keys.items())},
    }
