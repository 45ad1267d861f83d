"""`atcaprov request`: a certificate request (PKCS#10) that a chip signs, for an external CA."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.bounded_reading import read_text
from atcaprov.certs.definitions.fields import location_of_unit
from atcaprov.certs.descriptions.description import CertificateDescription, default_description
from atcaprov.certs.keys import key_id
from atcaprov.certs.unit_rule import UnitRule
from atcaprov.certs.unsigned import sign_request
from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.cli.new_file import refuse_existing, write_new_file
from atcaprov.config_zone import locks
from atcaprov.device.device import Device
from atcaprov.device.zones.places import read_place
from atcaprov.errors import Code, DeviceError, UsageError
from atcaprov.program.console_text import say
from atcaprov.terminal.printable import printable

_FILE: Final = click.Path(dir_okay=False, path_type=Path)


@click.command("request")
@click.option("--device", "url", metavar="URL", required=True, help="Device URL of the chip.")
@click.option(
    "--slot",
    metavar="SLOT",
    type=click.IntRange(0, SLOT_COUNT - 1),
    help="Slot of the key; default: that of the description.",
)
@click.option(
    "--description", "path", type=_FILE, help="TOML description of the certificate; default: the built-in one."
)
@click.option(
    "--unit",
    metavar="NAME",
    default="",
    help="The unit's own name, if the description holds one; default: the one that the chip holds.",
)
@click.option("--out", type=_FILE, required=True, help="New file for the request (PEM).")
def group(url: str, slot: int | None, path: Path | None, unit: str, out: Path) -> None:
    """Write a certificate request signed by a chip. The chip is not changed."""
    description = _description(path)
    assert description.slots is not None
    number = slot if slot is not None else description.slots.private_key
    assert number is not None
    refuse_existing(out)
    with Device.open(url) as device, _advising(number):
        der = device_request(device, number, description, _unit(device, description.unit, unit))
    write_new_file(out, x509.load_der_x509_csr(der).public_bytes(Encoding.PEM))
    say(f"Request written to {out}.")


@contextmanager
def _advising(slot: int) -> Iterator[None]:
    try:
        yield
    except DeviceError as error:
        error.advice = error.advice or f"Provision the chip first, or choose another slot than {slot} with --slot."
        raise


def device_request(device: Device, slot: int, description: CertificateDescription, unit: str = "") -> bytes:
    """Return a request (DER) with the description's subject and extensions for the key in `slot`.

    `unit` is the unit's own name, if the description holds one. Raises DeviceError if the slot has no key that may sign
    digests, or if its key needs an authorization.
    """
    public_key = device.get_pubkey(slot)
    serial = device.serial_number().hex()
    builder = description.extensions.request(
        x509.CertificateSigningRequestBuilder(description.subject_name(chip_serial=serial, unit=unit)),
        key_id=key_id(public_key),
        alternative_name=description.alternative_name(serial, unit),
    )
    return sign_request(builder, public_key=public_key, sign=lambda digest: device.sign(slot, digest))


def _unit(device: Device, rule: UnitRule | None, given: str) -> str:
    """Return the unit's name as the certificate is to have it: as given, or as the chip holds it; raises UsageError."""
    if rule is None:
        if given:
            raise UsageError("The description holds no unit's name.", advice="Leave --unit out.")
        return ""
    name = rule.canonical(given) if given else _name_on_chip(device, rule)
    broken = rule.broken_rule(name)
    if broken is not None:
        raise UsageError(f"The unit's name '{printable(given)}' is refused: {broken}.", code=Code.UNIT_INVALID)
    return name


def _name_on_chip(device: Device, rule: UnitRule) -> str:
    shown = locks.is_data_locked(device.read_config())
    name = rule.written(read_place(device, location_of_unit(rule))) if shown else None
    if name is None:
        raise UsageError(
            f"The certificate holds the unit's own name, and the chip shows none in {rule.place}.",
            advice="Give the name with --unit NAME.",
            code=Code.UNIT_MISSING,
        )
    return name


def _description(path: Path | None) -> CertificateDescription:
    if path is None:
        return default_description("device")
    found = CertificateDescription.from_toml(read_text(path))
    if found.role != "device":
        raise UsageError(f"{path} describes a {found.role}, not a device.")
    return found
