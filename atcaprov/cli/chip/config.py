"""`atcaprov chip config`: the configuration zone of a chip, in words or as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from atcaprov.chip.parts import is_508
from atcaprov.cli.chip.options import device_option, hex_text, json_option, say_json, trace_option
from atcaprov.cli.config import show_words
from atcaprov.config_zone.explain import explain_fields, explain_slot
from atcaprov.config_zone.hex_file import format_hex
from atcaprov.config_zone.zone import Part
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import UsageError
from atcaprov.inspection.snapshot import ChipSnapshot, read_identity
from atcaprov.program.console_text import say


@click.command("config")
@device_option
@click.option("--hex", "as_hex", is_flag=True, help="Print the bytes as a hex file instead of words.")
@json_option
@trace_option
def command(url: str, as_hex: bool, as_json: bool, trace: Path | None) -> None:
    """Show a chip's configuration zone. The chip is not changed."""
    if as_hex and as_json:
        raise UsageError("--hex and --json exclude each other.", advice="Give one of them.")
    with open_read_only(url, trace=trace) as device:
        chip = read_identity(device)
    if as_hex:
        say(format_hex(chip.config), end="")
    elif as_json:
        say_json(_object(chip))
    else:
        show_words(chip.zone, _part(chip))


def _part(chip: ChipSnapshot) -> Part:
    return Part.ATECC508A if is_508(chip.revision) else Part.ATECC608


def _object(chip: ChipSnapshot) -> dict[str, Any]:
    fields = [
        {"byte": each.byte, "name": each.name, "value": each.value, "meaning": each.meaning}
        for each in explain_fields(chip.zone, _part(chip))
    ]
    slots = [
        {
            "slot": slot.number,
            "slot_config": f"{slot.slot_config.value:04X}",
            "key_config": f"{slot.key_config.value:04X}",
            "meaning": explain_slot(slot),
        }
        for slot in chip.zone.slots
    ]
    return {
        "device": chip.url,
        "serial_number": hex_text(chip.serial_number),
        "config": hex_text(chip.config),
        "fields": fields,
        "slots": slots,
    }
