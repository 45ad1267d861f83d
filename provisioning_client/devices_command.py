"""`provisioning-client devices`: list kits, buses and chips for people, or as JSON lines."""

from __future__ import annotations

import json

import click

from atcaprov.diagnosis.candidate_texts import as_json, described, finding_text
from atcaprov.diagnosis.candidates import I2cSearch, list_ports
from atcaprov.diagnosis.finding import FindingCode, finding
from atcaprov.errors import UsageError
from atcaprov.hal.device_url import parse_7_bit_address
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
    """List kits, ports, buses and the chips on them.

    What is wrong with one is shown with its code. Nothing is changed.
    """
    search = I2cSearch(frozenset(i2c_numbers), tuple(map(parse_7_bit_address, addresses)), everywhere=all_addresses)
    if (search.addresses or search.everywhere) and not search.buses:
        raise UsageError("No I2C bus was given to look for these addresses on.", advice="Add --i2c BUS.")
    count = 0
    for port in list_ports(search):
        count += 1
        lines = [json.dumps(as_json(port))] if as_json_lines else described(port)
        for line in lines:
            say(line)
    if not count:
        say(finding_text(finding(FindingCode.NO_ADAPTER)), err=True)
