"""`signer-module definition`: definitions of certificates that a company's CA makes, and the numbers it must use."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from atcaprov.bounded_reading import read_bytes
from atcaprov.certs.certificate_files import UNREADABLE, read_certificate
from atcaprov.certs.dates import MAX_EXPIRE_YEARS, encode_dates, format_version_for
from atcaprov.certs.definitions.definition import Role
from atcaprov.certs.derivation.chip_parts import StoredText
from atcaprov.certs.derivation.derive import role_of
from atcaprov.certs.derivation.request import DefinitionRequest
from atcaprov.certs.descriptions.description import Slots, default_file
from atcaprov.certs.keys import raw_public_key
from atcaprov.certs.serial_number import SerialSource, generate
from atcaprov.chip.memory_map import SERIAL_SIZE, SLOT_COUNT
from atcaprov.errors import Code, UsageError
from atcaprov.program.console_text import say
from atcaprov.terminal.printable import printable
from signer_module.commands.option_groups import option_group
from signer_module.commands.options import FILE, FOLDER
from signer_module.derived_family import derive_family
from signer_module.on_files import folder_files

_SLOT: Final = click.IntRange(0, SLOT_COUNT - 1)
_PLACE: Final = "SLOT[:BYTE]"
_ID: Final = click.IntRange(0, 15)


@click.group("definition")
def definition_group() -> None:
    """Definitions of certificates that another CA makes."""


@dataclass(frozen=True)
class ChipOptions:
    """Where a product's chip keeps the parts of its certificates, and what of them it knows."""

    private_key_slot: int
    certificate_slot: str
    signer_key_slot: str
    signer_certificate_slot: str
    serial_slot: str | None
    chip_serial: str | None
    stored_text: tuple[str, ...]
    constant_end: bool

    def device(self, name: str, template_id: int, chain_id: int) -> DefinitionRequest:
        """Return the request for a device's certificate."""
        slot, offset = _place(self.certificate_slot)
        return DefinitionRequest(
            name,
            template_id,
            chain_id,
            Slots(slot, private_key=self.private_key_slot),
            certificate_offset=offset,
            chip_serial=parse_chip_serial(self.chip_serial),
            serial_slot=None if self.serial_slot is None else _place(self.serial_slot),
            texts=tuple(map(_stored_text, self.stored_text)),
            constant_end=self.constant_end,
        )

    def signer(self, name: str, template_id: int, chain_id: int) -> DefinitionRequest:
        """Return the request for a signer's certificate that was given besides a device's."""
        (slot, offset), (key_slot, key_offset) = _place(self.signer_certificate_slot), _place(self.signer_key_slot)
        slots = Slots(slot, public_key=key_slot)
        return DefinitionRequest(name, template_id, chain_id, slots, certificate_offset=offset, key_offset=key_offset)

    def signer_alone(self, name: str, template_id: int, chain_id: int) -> DefinitionRequest:
        """Return the request for a signer's certificate, to which the options on what the chip keeps apply."""
        device = self.device(name, template_id, chain_id)
        return replace(
            self.signer(name, template_id, chain_id),
            serial_slot=device.serial_slot,
            texts=device.texts,
            constant_end=device.constant_end,
        )


chip_options = option_group(
    "chip",
    ChipOptions,
    {
        "private_key_slot": click.option(
            "--private-key-slot", type=_SLOT, default=0, show_default=True, help="Slot of the device's key."
        ),
        "certificate_slot": click.option(
            "--certificate-slot",
            metavar=_PLACE,
            default="10",
            show_default=True,
            help="Slot of the device's 72 bytes.",
        ),
        "signer_key_slot": click.option(
            "--signer-key-slot",
            metavar=_PLACE,
            default="11",
            show_default=True,
            help="Slot of the signer's public key.",
        ),
        "signer_certificate_slot": click.option(
            "--signer-certificate-slot",
            metavar=_PLACE,
            default="12",
            show_default=True,
            help="Slot of the signer's 72 bytes.",
        ),
        "serial_slot": click.option(
            "--serial-slot",
            metavar=_PLACE,
            help="Where the chip keeps FILE's serial number, if it follows from nothing.",
        ),
        "chip_serial": click.option(
            "--chip-serial", metavar="HEX", help="Serial number of the chip, 18 digits; default: what the names show."
        ),
        "stored_text": click.option(
            "--stored-text",
            metavar="SLOT:BYTE:TEXT",
            multiple=True,
            help="Text in a slot (or otp) that FILE repeats, such as an address or a date. May be repeated.",
        ),
        "constant_end": click.option(
            "--constant-end", is_flag=True, help="notAfter is the same in all certificates of the family."
        ),
    },
)


@dataclass(frozen=True)
class IdOptions:
    """What the definitions are called."""

    name: str | None
    template_id: int | None
    chain_id: int
    signer_template_id: int

    def request(self, role: Role, chip: ChipOptions) -> DefinitionRequest:
        """Return the request for the certificate that was given."""
        make = chip.device if role == "device" else chip.signer_alone
        return make(self.name or role, self._template_id(role), self.chain_id)

    def above(self, certificate: bytes, chip: ChipOptions) -> DefinitionRequest:
        """Return the request for the certificate of its signer; raises UsageError if the two would have the same id."""
        if self._template_id(role_of(certificate)) == self.signer_template_id:
            raise UsageError("Signer and device have the same template id.", advice="Change --template-id.")
        return chip.signer("signer", self.signer_template_id, self.chain_id)

    def _template_id(self, role: Role) -> int:
        return self.template_id if self.template_id is not None else {"device": 2, "signer": 1}[role]


id_options = option_group(
    "ids",
    IdOptions,
    {
        "name": click.option("--name", help="Name of FILE's definition in C; default: device or signer."),
        "template_id": click.option(
            "--template-id", type=_ID, help="Template id of FILE; default: 2 for a device, 1 for a signer."
        ),
        "chain_id": click.option(
            "--chain-id", type=_ID, default=0, show_default=True, help="Chain id of all definitions."
        ),
        "signer_template_id": click.option(
            "--signer-template-id", type=_ID, default=1, show_default=True, help="Template id of the signer's."
        ),
    },
)


@definition_group.command("from-certificate")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--signer-certificate", "signer_path", type=FILE, help="Certificate of the signer that issued FILE.")
@click.option("--root-certificate", "root_path", type=FILE, help="Certificate of the CA that issued the signer's.")
@click.option("--also", "others", type=FILE, multiple=True, help="Another certificate of the family. May be repeated.")
@id_options
@chip_options
@click.option("--out", type=FOLDER, help="New folder for the definitions (JSON, CBOR, C) and descriptions (TOML).")
def from_certificate(
    path: Path,
    signer_path: Path | None,
    root_path: Path | None,
    others: tuple[Path, ...],
    ids: IdOptions,
    chip: ChipOptions,
    out: Path | None,
) -> None:
    """Derive the definition of another CA's certificate.

    It is proved first: the certificate is rebuilt from its compressed form, byte for byte.
    """
    if out is not None:
        folder_files.refuse_existing(out)
    certificate = read_certificate(path)
    family = derive_family(
        certificate,
        ids.request(role_of(certificate), chip),
        signer=None if signer_path is None else (read_certificate(signer_path), ids.above(certificate, chip)),
        root=None if root_path is None else read_certificate(root_path),
    )
    for other in others:
        family.last.check_also(read_certificate(other))
    for member in family.members:
        for line in member.report():
            say(printable(line))
    for note in family.notes:
        say(f"Note: {printable(note)}", err=True)
    if out is not None:
        _write(out, family.files())


def _write(out: Path, files: dict[str, bytes]) -> None:
    with folder_files.new_folder(out, 0o755) as folder:
        folder_files.write_all(folder, {name: (data, folder_files.PUBLIC) for name, data in files.items()}, named=out)
    for name in files:
        say(str(out / name))


@definition_group.command("openssl-ca")
def openssl_ca() -> None:
    """Print a configuration for `openssl ca`.

    Certificates that are made with it fit the compressed form.
    """
    say(default_file("openssl-ca.cnf"), end="")


@definition_group.command("serial-number")
@click.option("--request", "request_path", type=FILE, required=True, help="Request (PKCS#10, PEM) for the certificate.")
@click.option("--not-before", "begin", metavar="YYYYMMDDHH", required=True, help="Hour of notBefore, UTC.")
@click.option(
    "--expire-years",
    "years",
    metavar="N",
    type=click.IntRange(0, MAX_EXPIRE_YEARS[1]),
    required=True,
    help="Years from notBefore to notAfter; 0: notAfter is 9999-12-31 23:59:59.",
)
@click.option(
    "--size", type=click.IntRange(8, 20), default=16, show_default=True, help="Length of the serial number in bytes."
)
@click.option("--chip-serial", metavar="HEX", help="Made from this serial number of the chip instead of the key.")
def serial_number(request_path: Path, begin: str, years: int, size: int, chip_serial: str | None) -> None:
    """Print the serial number that a device certificate needs.

    With this number from the CA, the chip need not store it.
    """
    hour, serial = _hour(begin), parse_chip_serial(chip_serial)
    version = format_version_for(hour.year, years)
    encoded, extension = encode_dates(hour, years, version)
    made = generate(
        SerialSource.PUB_KEY_HASH if serial is None else SerialSource.DEVICE_SN_HASH,
        size,
        public_key=_requested_key(request_path),
        chip_serial=serial,
        signer_id=bytes(2),
        dates=encoded + bytes([extension & 0xF0]) * version,
    )
    say(made.hex().upper())


def _hour(text: str) -> datetime:
    try:
        if len(text) == len("2026060108") and text.isascii() and text.isdigit():
            return datetime.strptime(text, "%Y%m%d%H").replace(tzinfo=UTC)
    except ValueError:
        pass
    raise UsageError(f"'{text}' is not an hour.", advice="Give year, month, day and hour, such as 2026060108.")


def _requested_key(path: Path) -> bytes:
    """Return the key (X||Y, 64 bytes) of a request; raises UsageError."""
    try:
        key = x509.load_pem_x509_csr(read_bytes(path)).public_key()
    except UNREADABLE as error:
        raise UsageError(f"{path} holds no certificate request in PEM.", code=Code.FILE_INVALID) from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise UsageError(f"The key of {path} is not on P-256.", code=Code.FILE_INVALID)
    return raw_public_key(key)


def parse_chip_serial(text: str | None) -> bytes | None:
    """Return the 9 bytes of a chip's serial number; raises UsageError."""
    if text is None:
        return None
    try:
        serial = bytes.fromhex(text)
    except ValueError:
        serial = b""
    if len(serial) != SERIAL_SIZE:
        raise UsageError(f"'{text}' is not the serial number of a chip.", advice="Give 18 hexadecimal digits.")
    return serial


def _place(text: str) -> tuple[int, int]:
    """Return slot and byte of SLOT[:BYTE]; raises UsageError."""
    slot, _, offset = text.partition(":")
    numbers: list[Any] = [slot, offset or "0"]
    if not all(each.isascii() and each.isdigit() and len(each) <= 3 for each in numbers) or int(slot) >= SLOT_COUNT:
        raise UsageError(f"'{text}' is not a place in a slot.", advice="Give a slot, or SLOT:BYTE, such as 14:0.")
    return int(slot), int(numbers[1])


def _stored_text(text: str) -> StoredText:
    place, _, stored = text.rpartition(":")
    if not place or not stored:
        raise UsageError(f"'{text}' is not a text in a slot.", advice="Give SLOT:BYTE:TEXT, such as 5:0:0004A3000001.")
    zone, _, offset = place.partition(":")
    if zone.lower() == "otp":
        return StoredText(None, _place(f"0:{offset}")[1], stored.encode())
    return StoredText(*_place(place), stored.encode())
