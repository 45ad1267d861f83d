"""Readable descriptions of certificates, in TOML; docs/reference/certificate-descriptions.md lists every key.

What the compressed form or X.509 cannot hold is refused when the description is read, not later at a board. Making
definitions from descriptions is the duty of atcaprov.certs.descriptions.template.
"""

from __future__ import annotations

import importlib.resources
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from cryptography import x509

from atcaprov.bounded_reading import MalformedError, parse_toml
from atcaprov.certs.dates import MAX_EXPIRE_YEARS
from atcaprov.certs.definitions.checks import SERIAL_LOCATIONS
from atcaprov.certs.definitions.document import MAX_ELEMENTS
from atcaprov.certs.descriptions import subject
from atcaprov.certs.descriptions.extensions import ExtensionsDescription, read_extensions
from atcaprov.certs.descriptions.subject_alt_name import SubjectAltNameDescription, read_subject_alt_name
from atcaprov.certs.document_reader import Document, Fault
from atcaprov.certs.serial_number import FIXED_SIZES, SerialSource
from atcaprov.certs.unit_rule import UnitRule
from atcaprov.chip.memory_map import SLOT_COUNT, SLOT_SIZES
from atcaprov.errors import Code, UsageError

Role = Literal["root", "signer", "device"]
_HASHED_SERIAL_SIZE: Final = 16
_MAX_TEXT: Final = 65_536
_ISSUED_SOURCES: Final = {
    "signer": (SerialSource.PUB_KEY_HASH, SerialSource.SIGNER_ID),
    "device": (SerialSource.PUB_KEY_HASH, SerialSource.DEVICE_SN_HASH, SerialSource.DEVICE_SN),
}
_FIRST_CERTIFICATE_SLOT: Final = 8
"""Slots 0-7 have 36 bytes; certificates and stored keys need 72."""


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of the parts on the product's chip; None if the role has no such part."""

    compressed_certificate: int
    private_key: int | None = None
    public_key: int | None = None


@dataclass(frozen=True, slots=True)
class CertificateDescription:
    """A checked description; a root has no name, ids, serial number source and slots."""

    role: Role
    subject: subject.SubjectDescription
    expire_years: int
    extensions: ExtensionsDescription
    name: str = ""
    template_id: int = 0
    chain_id: int = 0
    sn_source: SerialSource = SerialSource.PUB_KEY_HASH
    serial_size: int = _HASHED_SERIAL_SIZE
    format_version: int = 0
    slots: Slots | None = None
    subject_alt_name: SubjectAltNameDescription | None = None
    unit: UnitRule | None = None
    """What `{unit}` in a device's names stands for; None if no name holds it."""

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read a description; raises UsageError (definition-invalid) that names the key at fault."""
        return cls.from_document(_parse(text))

    @classmethod
    def from_document(cls, contents: object, fault: Fault | None = None) -> Self:
        """Read a map with the keys and values of the TOML text.

        Raises UsageError (definition-invalid), or what `fault` returns for the key at fault and the broken rule.
        """
        document = Document(contents, fault=fault or _fault)
        role = document.text("role", 6)
        if role == "root":
            return cls._root(document)
        if role not in ("signer", "device"):
            raise document.fault("role", "must be root, signer or device")
        return cls._issued(document, "signer" if role == "signer" else "device")

    @classmethod
    def _root(cls, document: Document) -> Self:
        validity = document.inner("validity")
        found = cls(
            role="root",
            subject=subject.read_subject(document.inner("subject"), subject.Placeholders()),
            expire_years=validity.integer("expire_years", 0, 1000),
            extensions=read_extensions(document.inner("extensions"), ca=True, issued=False),
        )
        if found.extensions.path_length == 0:
            raise document.fault("extensions.path_length", "must be 1 or more for a root, whose signers are CAs too")
        validity.finish()
        document.finish()
        return found

    @classmethod
    def _issued(cls, document: Document, role: Literal["signer", "device"]) -> Self:
        source = _source(document, role)
        expire_years, format_version = _validity(document.inner("validity"))
        unit = UnitRule.read(document.inner("unit")) if role == "device" and document.has("unit") else None
        names = (subject.SIGNER_ID,) if role == "signer" else subject.CHIP_SERIALS
        placeholders = subject.Placeholders(names, unit)
        found = cls(
            role=role,
            subject=subject.read_subject(document.inner("subject"), placeholders),
            expire_years=expire_years,
            extensions=read_extensions(document.inner("extensions"), ca=role == "signer"),
            name=_name(document),
            template_id=document.integer("template_id", 0, 15),
            chain_id=document.integer("chain_id", 0, 15),
            sn_source=source,
            serial_size=_serial_size(document, source),
            format_version=format_version,
            slots=_slots(document.inner("slots"), role),
            subject_alt_name=_alternative_names(document, placeholders) if role == "device" else None,
            unit=unit,
        )
        if role == "signer":
            subject.check_signer_name(found.subject, document.fault)
        _check_elements(document, found)
        _check_unit(document, found)
        document.finish()
        return found

    def subject_name(self, *, signer_id: str = "", chip_serial: str = "", unit: str = "") -> x509.Name:
        """Return the subject with its placeholders filled (4 and 18 hexadecimal digits, and the unit's name)."""
        values = {subject.SIGNER_ID: signer_id, **subject.values_of_chip_serial(chip_serial)}
        return self.subject.name(values | subject.values_of_unit(self.unit, unit))

    def alternative_name(self, chip_serial: str, unit: str = "") -> x509.SubjectAlternativeName | None:
        """Return the subject alternative name for a chip's serial number (18 hexadecimal digits), if there is one."""
        if self.subject_alt_name is None:
            return None
        values = subject.values_of_chip_serial(chip_serial) | subject.values_of_unit(self.unit, unit)
        return self.subject_alt_name.general_names(values)

    @property
    def chip_serials(self) -> int:
        """How often the chip's serial number stands in the certificate's names."""
        return self.subject.chip_serials + (self.subject_alt_name.chip_serials if self.subject_alt_name else 0)

    @property
    def units(self) -> int:
        """How often the unit's name stands in the certificate's names, as text or as bytes."""
        names = self.subject_alt_name
        return self.subject.units + (names.units + names.hardware_units if names else 0)

    @property
    def elements(self) -> int:
        """How many elements the definition needs for the chip's serial number and the unit's name.

        The serial number is in two parts of the configuration zone. A separator in an address divides it.
        """
        bytes_at_once = self.subject_alt_name.hardware_units if self.subject_alt_name else 0
        parts = self.unit.size if self.unit is not None and self.unit.separator else 1
        return len(SERIAL_LOCATIONS) * self.chip_serials + parts * (self.units - bytes_at_once) + bytes_at_once


def default_description(role: Role) -> CertificateDescription:
    """Return the description that is used when the user gives none."""
    return CertificateDescription.from_toml(default_text(role))


def default_text(role: Role) -> str:
    """Return the TOML text of the default description, as a start for your own."""
    return default_file(f"{role}.toml")


def default_file(name: str) -> str:
    """Return the text of a file that the package brings for users to start from."""
    folder = importlib.resources.files("atcaprov.certs") / "default"
    return (folder / name).read_text(encoding="utf-8")


def _parse(text: str) -> dict[str, object]:
    if len(text) > _MAX_TEXT:
        raise _fault("the file", f"must be at most {_MAX_TEXT} characters long")
    try:
        return parse_toml(text)
    except MalformedError as error:
        raise UsageError(
            f"The certificate description is not valid TOML: {error}.", code=Code.DEFINITION_INVALID
        ) from error


def _name(document: Document) -> str:
    name = document.text("name", 32)
    if not name.isidentifier():
        raise document.fault("name", "must be letters, digits and _, and begin with a letter")
    return name


def _alternative_names(document: Document, placeholders: subject.Placeholders) -> SubjectAltNameDescription | None:
    if not document.has("subject_alt_name"):
        return None
    return read_subject_alt_name(document.inner("subject_alt_name"), placeholders)


def _check_elements(document: Document, found: CertificateDescription) -> None:
    if found.elements <= MAX_ELEMENTS:
        return
    if found.unit is None:
        most = MAX_ELEMENTS // len(SERIAL_LOCATIONS)
        rule = f"use the chip's serial number {found.chip_serials} times; a definition holds {most}"
    else:
        rule = f"hold the chip's serial number and {{unit}} in {found.elements} parts; a definition has {MAX_ELEMENTS}"
    raise document.fault("subject and subject_alt_name", rule)


def _check_unit(document: Document, found: CertificateDescription) -> None:
    if found.unit is None:
        return
    if not found.units:
        raise document.fault("unit", "must be left out, or {unit} must stand in subject or subject_alt_name")
    assert found.slots is not None
    if found.unit.slot in (found.slots.compressed_certificate, found.slots.private_key):
        raise document.fault("unit.slot", "must be another slot than those of key and certificate")


def _source(document: Document, role: str) -> SerialSource:
    source = document.choice("serial_number", SerialSource)
    if source not in _ISSUED_SOURCES[role]:
        names = " or ".join(allowed.name for allowed in _ISSUED_SOURCES[role])
        raise document.fault("serial_number", f"must be {names} for a {role}")
    return source


def _serial_size(document: Document, source: SerialSource) -> int:
    size = document.integer("serial_number_size", 8, 20) if document.has("serial_number_size") else _HASHED_SERIAL_SIZE
    fixed = FIXED_SIZES.get(source)
    if fixed is not None and document.has("serial_number_size"):
        raise document.fault("serial_number_size", f"must be left out; {source.name} gives {fixed} bytes")
    return size if fixed is None else fixed


def _validity(validity: Document) -> tuple[int, int]:
    version = validity.integer("compressed_format", 0, 1) if validity.has("compressed_format") else 0
    years = validity.integer("expire_years", 0, 127)
    most = MAX_EXPIRE_YEARS[version]
    if years > most:
        more = "; compressed_format = 1 holds 127, for readers since 2024 only" if not version else ""
        raise validity.fault("validity.expire_years", f"must be 0 (no expiry) to {most}{more}")
    validity.finish()
    return years, version


def _slots(slots: Document, role: str) -> Slots:
    compressed = _certificate_slot(slots, "compressed_certificate")
    if role == "device":
        found = Slots(compressed, private_key=slots.integer("private_key", 0, SLOT_COUNT - 1))
        if found.private_key == compressed:
            raise slots.fault("slots", "must be different slots")
    else:
        found = Slots(compressed, public_key=_certificate_slot(slots, "public_key"))
        if found.public_key == compressed:
            raise slots.fault("slots", "must be different slots")
    slots.finish()
    return found


def _certificate_slot(slots: Document, key: str) -> int:
    slot = slots.integer(key, 0, SLOT_COUNT - 1)
    if slot < _FIRST_CERTIFICATE_SLOT:
        raise slots.fault(slots.at(key), f"must be 8 to 15; slot {slot} has {SLOT_SIZES[slot]} bytes and 72 are needed")
    return slot


def _fault(path: str, rule: str) -> UsageError:
    return UsageError(f"The certificate description is refused: {path} {rule}.", code=Code.DEFINITION_INVALID)


def description_document(description: CertificateDescription) -> dict[str, Any]:
    """Return a map of plain values from which the same description is read."""
    document: dict[str, Any] = {
        "role": description.role,
        "subject": dict(description.subject.attributes),
        "validity": {"expire_years": description.expire_years},
        "extensions": _extensions_map(description.extensions),
    }
    if description.slots is None:
        return document
    document |= {
        "name": description.name,
        "template_id": description.template_id,
        "chain_id": description.chain_id,
        "serial_number": description.sn_source.name,
        "slots": _slots_map(description.slots),
    }
    document["validity"]["compressed_format"] = description.format_version
    if description.sn_source not in FIXED_SIZES:
        document["serial_number_size"] = description.serial_size
    if description.subject_alt_name is not None:
        document["subject_alt_name"] = description.subject_alt_name.document()
    if description.unit is not None:
        document["unit"] = description.unit.document()
    return document


def _extensions_map(extensions: ExtensionsDescription) -> dict[str, Any]:
    found: dict[str, Any] = {"key_usage": list(extensions.key_usage)}
    if extensions.extended_key_usage:
        found["extended_key_usage"] = list(extensions.extended_key_usage)
    if extensions.path_length is not None:
        found["path_length"] = extensions.path_length
    if extensions.crl_distribution_points:
        found["crl_distribution_points"] = list(extensions.crl_distribution_points)
    return found


def _slots_map(slots: Slots) -> dict[str, int]:
    named = {
        "compressed_certificate": slots.compressed_certificate,
        "private_key": slots.private_key,
        "public_key": slots.public_key,
    }
    return {name: slot for name, slot in named.items() if slot is not None}
