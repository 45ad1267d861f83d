"""Random products: descriptions, definitions, keys, dates and certificates that fit together."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import CertificateDescription, default_description
from atcaprov.certs.descriptions.template import device_definition, signer_definition
from atcaprov.certs.issue import IssuedCertificate, issue
from atcaprov.certs.rebuild import SlotContent, slot_contents
from tests.support.certificates import Key

_COMMON: Final = """
template_id = {template}
chain_id = {chain}
serial_number = "{source}"
{size}
[subject]
organization = "{organization}"
common_name = "{name}"
[validity]
expire_years = {years}
compressed_format = {format}
"""
_SIGNER: Final = f"""
role = "signer"
name = "signer"
{_COMMON}
[extensions]
path_length = 0
key_usage = ["key_cert_sign"]
[slots]
public_key = {{key_slot}}
compressed_certificate = {{slot}}
"""
_DEVICE: Final = f"""
role = "device"
name = "device"
{_COMMON}
[extensions]
key_usage = ["digital_signature"]
extended_key_usage = ["client_auth"]
{{alternative_name}}
[slots]
private_key = {{key_slot}}
compressed_certificate = {{slot}}
"""
_ALTERNATIVE_NAMES: Final = (
    'uri = "urn:example:{chip_serial}"',
    'dns_name = "x{chip_serial_lower}.example.com"',
    'directory_name = { organization = "Example", serial_number = "{chip_serial_lower}/{chip_serial}" }',
    'hardware_module_type = "1.3.6.1.4.1.32473.1"',
)
_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789-_.äöü電"


@dataclass(frozen=True)
class Unit:
    """One random unit."""

    signer_definition: CertificateDefinition
    device_definition: CertificateDefinition
    signer: IssuedCertificate
    device: IssuedCertificate
    root_key: Key
    signer_key: Key
    device_key: Key
    chip_serial: bytes

    @property
    def writes(self) -> list[SlotContent]:
        """What stands on the chip for both certificates."""
        parts = [
            (self.signer_definition, self.signer, self.signer_key),
            (self.device_definition, self.device, self.device_key),
        ]
        return [
            write
            for definition, issued, key in parts
            for write in slot_contents(definition, compressed=issued.compressed, public_key=key.public)
        ]


def random_unit(source: random.Random) -> Unit:
    """Return a unit whose certificates are issued here."""
    signer, device = _descriptions(source)
    at = _moment(source, device)
    signer_def = signer_definition(signer, root_name=default_description("root").subject_name(), at=at)
    device_def = device_definition(device, signer=signer, at=at)
    keys = [Key.of(source.getrandbits(256)) for _ in range(3)]
    return issued_unit(signer_def, device_def, keys, source.randbytes(2), source.randbytes(9), at)


def issued_unit(
    signer_def: CertificateDefinition,
    device_def: CertificateDefinition,
    keys: Sequence[Key],
    signer_id: bytes,
    chip_serial: bytes,
    at: datetime,
    name: str = "",
) -> Unit:
    """Return a unit whose certificates are issued here; `keys` are those of root, signer and device.

    `name` is the unit's own name, if the device certificate has one.
    """
    root_key, signer_key, device_key = keys
    signer_certificate = issue(
        signer_def,
        subject_public_key=signer_key.public,
        ca_public_key=root_key.public,
        signer_id=signer_id,
        issue_date=at,
        sign=root_key.sign,
    )
    device_certificate = issue(
        device_def,
        subject_public_key=device_key.public,
        ca_public_key=signer_key.public,
        signer_id=signer_id,
        issue_date=at,
        chip_serial=chip_serial,
        unit=name,
        sign=signer_key.sign,
    )
    return Unit(
        signer_def, device_def, signer_certificate, device_certificate, root_key, signer_key, device_key, chip_serial
    )


def _descriptions(source: random.Random) -> tuple[CertificateDescription, CertificateDescription]:
    version = source.choice((0, 0, 1))
    public_key_slot, signer_slot, device_slot = source.sample(range(8, 16), 3)
    signer_template, device_template = source.sample(range(16), 2)
    common = {
        "chain": source.randrange(16),
        "format": version,
        "organization": _text(source, 30),
        "years": source.choice((0, source.randint(1, (31, 127)[version]))),
    }
    signer = _SIGNER.format(
        template=signer_template,
        name=_text(source, 40) + " {signer_id}",
        key_slot=public_key_slot,
        slot=signer_slot,
        **_serial(source, "SIGNER_ID"),
        **common,
    )
    device = _DEVICE.format(
        template=device_template,
        name=_text(source, 20) + source.choice(("", " {chip_serial}", "/{chip_serial}/{chip_serial}")),
        key_slot=source.randrange(8),
        slot=device_slot,
        alternative_name=_alternative_name(source),
        **_serial(source, "DEVICE_SN", "DEVICE_SN_HASH"),
        **common,
    )
    return CertificateDescription.from_toml(signer), CertificateDescription.from_toml(device)


def _serial(source: random.Random, *others: str) -> dict[str, str]:
    name = source.choice(("PUB_KEY_HASH", *others))
    size = f"serial_number_size = {source.randint(8, 20)}" if name.endswith("HASH") else ""
    return {"source": name, "size": size}


def _alternative_name(source: random.Random) -> str:
    names = source.sample(_ALTERNATIVE_NAMES, source.randint(0, len(_ALTERNATIVE_NAMES)))
    return "\n".join(["[subject_alt_name]", *names]) if names else ""


def _text(source: random.Random, longest: int) -> str:
    return "".join(source.choice(_LETTERS) for _ in range(source.randint(1, longest)))


def _moment(source: random.Random, description: CertificateDescription) -> datetime:
    year = source.randint(2000, (2031, 2127)[description.format_version])
    hour = datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=source.randrange(8760))
    leap_day = (hour.month, hour.day) == (2, 29)
    return hour.replace(day=28) if description.expire_years and leap_day else hour
