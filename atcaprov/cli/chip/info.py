"""`atcaprov chip info`: what a chip is, and what it is used for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click

from atcaprov.chip.memory_map import REVISION
from atcaprov.chip.parts import spaced
from atcaprov.cli.chip.options import device_option, hex_text, json_option, say_json, trace_option
from atcaprov.config_zone.defaults import DEFAULT_CERTIFICATE_SLOTS
from atcaprov.config_zone.explain import explain_slot, slot_table
from atcaprov.config_zone.locks import locked_slots
from atcaprov.config_zone.module_zones import HEAD_SLOT
from atcaprov.config_zone.slot import Slot
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.device.read_only import open_read_only
from atcaprov.hal.device_url import both_forms
from atcaprov.inspection.identity import (
    Identity,
    address_of,
    counters_of,
    identify,
    is_right_part,
    suffix_text,
)
from atcaprov.inspection.snapshot import ChipSnapshot, read_snapshot
from atcaprov.program.console_text import say

_TELLING_SLOTS: Final = DEFAULT_CERTIFICATE_SLOTS | {HEAD_SLOT}
"""Slots whose content says what a chip is used for; the others are not read."""


@click.command("info")
@device_option
@json_option
@trace_option
def command(url: str, as_json: bool, trace: Path | None) -> None:
    """Show what a chip is and what it is used for.

    It also says what is locked, and what each slot is for. The chip is not changed; the file of a software chip that
    does not exist is not created.
    """
    with open_read_only(url, trace=trace) as device:
        snapshot = read_snapshot(device, slots=_TELLING_SLOTS)
    if as_json:
        say_json(info_object(snapshot))
    else:
        say("\n".join(_lines(snapshot)))


def _lines(snapshot: ChipSnapshot) -> Iterator[str]:
    identity, zone = identify(snapshot), snapshot.zone
    for name, text in _facts(snapshot, identity):
        yield f"{name:<16}{text}"
    yield ""
    yield from slot_table(zone)


def _facts(snapshot: ChipSnapshot, identity: Identity) -> Iterator[tuple[str, str]]:
    zone = snapshot.zone
    yield "device", snapshot.url
    yield "part", _part(snapshot, identity)
    yield "serial number", f"{hex_text(zone.serial_number)}, {suffix_text(zone.serial_number)}"
    yield "I2C address", both_forms(address_of(zone))
    yield "configuration", f"{_locked(zone.config_locked)}; {identity.layout.name}"
    yield "data and OTP", _locked(zone.data_locked)
    yield "locked slots", ", ".join(map(str, locked_slots(zone.data))) or "none"
    yield "counters", ", ".join("not a count" if value is None else str(value) for value in counters_of(zone))
    yield "private keys", _keys(snapshot)
    yield "use", f"{identity.use}: {identity.reason}"
    if identity.stages:
        yield "next stage", " or ".join(f"{stage.value} {stage.label}" for stage in identity.stages)
    if identity.layout.source:
        yield "known from", identity.layout.source


def _part(snapshot: ChipSnapshot, identity: Identity) -> str:
    """Return the part with both revisions; only the answer of Info tells it."""
    told, stored = spaced(snapshot.revision), spaced(snapshot.config[REVISION])
    revision = f"revision {told}" if told == stored else f"revision {told} by Info, {stored} in the zone"
    wrong = "" if is_right_part(snapshot) else "; not an ATECC608, which alone atcaprov provisions"
    return f"{identity.part}, {revision}{wrong}"


def _locked(is_locked: bool) -> str:
    return "locked" if is_locked else "not locked"


def _keys(snapshot: ChipSnapshot) -> str:
    if not snapshot.zone.config_locked:
        return "none before the configuration is locked"
    held = [slot for slot, is_held in sorted(snapshot.keys.items()) if is_held]
    return ", ".join(_key(slot, snapshot) for slot in held) or "none"


def _key(slot: int, snapshot: ChipSnapshot) -> str:
    return f"slot {slot}" if slot in snapshot.public_keys else f"slot {slot} (public key not shown)"


def info_object(snapshot: ChipSnapshot) -> dict[str, Any]:
    """Return what `--json` prints of a chip."""
    identity, zone = identify(snapshot), snapshot.zone
    return {
        "device": snapshot.url,
        "part": identity.part,
        "is_608": is_right_part(snapshot),
        "revision": hex_text(snapshot.revision),
        "zone_revision": hex_text(snapshot.config[REVISION]),
        "serial_number": hex_text(zone.serial_number),
        "i2c_address": address_of(zone),
        "config_locked": zone.config_locked,
        "data_locked": zone.data_locked,
        "locked_slots": locked_slots(zone.data),
        "counters": list(counters_of(zone)),
        "use": identity.use,
        "reason": identity.reason,
        "layout": identity.layout.layout,
        "layout_name": identity.layout.name,
        "layout_source": identity.layout.source or None,
        "next_stages": [stage.value for stage in identity.stages],
        "config": hex_text(snapshot.config),
        "slots": [_slot_object(zone, slot, snapshot) for slot in zone.slots],
    }


def _slot_object(zone: ConfigZone, slot: Slot, snapshot: ChipSnapshot) -> dict[str, Any]:
    return {
        "slot": slot.number,
        "slot_config": f"{slot.slot_config.value:04X}",
        "key_config": f"{slot.key_config.value:04X}",
        "locked": zone.config_locked and not slot.open,
        "meaning": explain_slot(slot),
        "has_key": snapshot.keys.get(slot.number),
        "public_key": hex_text(snapshot.public_keys.get(slot.number)),
    }
