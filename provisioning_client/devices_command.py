"""`provisioning-client devices`: list kits, buses and chips for people, or as JSON lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from atcaprov.chip.parts import spaced
from atcaprov.diagnosis.candidates import I2cSearch, ListedChip, ListedPort, list_ports
from atcaprov.errors import AtcaProvError, UsageError
from atcaprov.hal.device_url import both_forms, parse_7_bit_address
from atcaprov.program.console_text import say


@click.command(name="devices")
@click.option(
    "--i2c",
    "i2c_numbers",
    metavar="BUS",
    multiple=True,
    type=click.IntRange(0),
    help="Look for chips on this I2C bus; repeatable. Other buses are listed but not searched: they may carry parts of"
    " the machine itself.",
)
@click.option(
    "--address",
    "addresses",
    metavar="ADDRESS",
    multiple=True,
    help="With --i2c: also look at this 7-bit address, such as 0x6B; repeatable.",
)
@click.option(
    "--all-addresses",
    is_flag=True,
    help="With --i2c: look at every address from 0x08 to 0x77. Other parts get a wake pulse and a read of four bytes.",
)
@click.option("--json", "as_json_lines", is_flag=True, help="One JSON object for each port.")
def devices(i2c_numbers: tuple[int, ...], addresses: tuple[str, ...], all_addresses: bool, as_json_lines: bool) -> None:
    """List kits, ports, buses and the chips on them, with what is wrong with each; changes nothing."""
    search = I2cSearch(frozenset(i2c_numbers), tuple(map(parse_7_bit_address, addresses)), everywhere=all_addresses)
    if (search.addresses or search.everywhere) and not search.buses:
        raise UsageError("No I2C bus was given to look for these addresses on.", advice="Add --i2c BUS.")
    count = 0
    for port in list_ports(search):
        count += 1
        lines = [json.dumps(as_json(port))] if as_json_lines else describe(port)
        for line in lines:
            say(line)
    if not count:
        say("No kit and no I2C bus is connected.", err=True)


def describe(port: ListedPort) -> Iterator[str]:
    """Yield the lines for people."""
    where = [f"USB {port.usb_path}"] if port.usb_path else []
    ids = [part for part in (port.usb_id, port.usb_serial) if part]
    yield "  ".join([port.url, port.name, *ids, *where]).rstrip()
    if port.error is not None:
        yield f"    {_error_text(port.error)}"
    elif not port.searched:
        yield f"    not searched; --i2c {port.url.removeprefix('i2c://')} looks for chips"
    elif not port.chips:
        yield "    no chip"
    for chip in port.chips:
        yield f"    {both_forms(chip.address)}  {_chip_text(chip)}"
        if chip.error is None:
            yield f"        revision {spaced(chip.revision)}, in the configuration zone {spaced(chip.config_revision)}"
        yield f"        --device '{chip.url}'"


def as_json(port: ListedPort) -> dict[str, Any]:
    """Return the object of a JSON line; see docs/reference/provisioning-client.md."""
    return {
        "url": port.url,
        "kind": port.kind,
        "name": port.name,
        "usb_path": port.usb_path,
        "usb_id": port.usb_id,
        "usb_serial": port.usb_serial,
        "searched": port.searched,
        **_error_keys(port.error),
        "chips": [_chip_json(chip) for chip in port.chips],
    }


def _chip_text(chip: ListedChip) -> str:
    if chip.error is not None:
        return _error_text(chip.error)
    config, data = ("locked" if locked else "open" for locked in (chip.config_locked, chip.data_locked))
    return f"{chip.part}  {chip.serial_number}  configuration {config}, data {data}"


def _chip_json(chip: ListedChip) -> dict[str, Any]:
    return {
        "url": chip.url,
        "address": f"0x{chip.address:02X}",
        "address_7_bit": f"0x{chip.address >> 1:02X}",
        "part": chip.part,
        "revision": chip.revision.hex(),
        "config_revision": chip.config_revision.hex(),
        "sn": chip.serial_number,
        "config_locked": chip.config_locked,
        "data_locked": chip.data_locked,
        **_error_keys(chip.error),
    }


def _error_text(error: AtcaProvError) -> str:
    return f"[{error.code}] {error}"


def _error_keys(error: AtcaProvError | None) -> dict[str, str]:
    return {} if error is None else {"code": error.code, "message": error.what, "advice": error.advice}
