"""Subject names of descriptions, with placeholders for what differs between certificates."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from atcaprov.certs.document_reader import Document, Fault
from atcaprov.certs.unit_rule import UnitRule

CHIP_SERIAL: Final = "chip_serial"
CHIP_SERIAL_LOWER: Final = "chip_serial_lower"
CHIP_SERIALS: Final = (CHIP_SERIAL, CHIP_SERIAL_LOWER)
"""The placeholders of the chip's serial number: with upper-case and with lower-case digits."""
SIGNER_ID: Final = "signer_id"
PLACEHOLDER_SIZES: Final = MappingProxyType({CHIP_SERIAL: 18, CHIP_SERIAL_LOWER: 18, SIGNER_ID: 4})
"""Hexadecimal digits that take a placeholder's place."""
UNIT: Final = "unit"
"""The placeholder of the unit's own name, whose length its rule gives."""
UNIT_BYTES: Final = "unit_bytes"
"""Not a placeholder: the name as the chip holds it, in hexadecimal digits, for a hardware module name."""

ATTRIBUTES: Final = MappingProxyType(
    # key -> object id, longest text (upper bounds of RFC 5280, appendix A.1)
    {
        "country": (NameOID.COUNTRY_NAME, 2),
        "state": (NameOID.STATE_OR_PROVINCE_NAME, 128),
        "locality": (NameOID.LOCALITY_NAME, 128),
        "organization": (NameOID.ORGANIZATION_NAME, 64),
        "organizational_unit": (NameOID.ORGANIZATIONAL_UNIT_NAME, 64),
        "common_name": (NameOID.COMMON_NAME, 64),
        "serial_number": (NameOID.SERIAL_NUMBER, 64),
    }
)
_PRINTABLE_STRING: Final = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")
_PRINTABLE_ONLY: Final = frozenset({"country", "serial_number"})
_FIELD: Final = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class Placeholders:
    """The placeholders that a text may use, and what the unit's name can be if it is one of them."""

    names: tuple[str, ...] = ()
    unit: UnitRule | None = None

    @property
    def allowed(self) -> tuple[str, ...]:
        """The names of all placeholders."""
        return self.names if self.unit is None else (*self.names, UNIT)

    def fillings(self, text: str) -> Iterator[str]:
        """Yield `text` with zeros for its placeholders, and with each character that a unit's name can have.

        Length and characters of a name are checked with these. The ends of a name are looked at, and one place for
        each set of characters: rules for names differ at the ends of a label only.
        """
        zeros = {name: "0" * size for name, size in PLACEHOLDER_SIZES.items()}
        if self.unit is None or not count_units(text):
            yield fill(text, zeros)
            return
        positions, blank = self.unit.positions, self.unit.filled("0")
        for at in {0, len(positions) - 1, *{allowed: at for at, allowed in enumerate(positions)}.values()}:
            for character in sorted(positions[at]):
                yield fill(text, {**zeros, UNIT: blank[:at] + character + blank[at + 1 :]})


@dataclass(frozen=True, slots=True)
class SubjectDescription:
    """Attributes in the order of the certificate: (key, text with placeholders)."""

    attributes: tuple[tuple[str, str], ...]

    @property
    def common_name(self) -> str:
        """The common name with its placeholders."""
        return dict(self.attributes)["common_name"]

    def name(self, values: Mapping[str, str]) -> x509.Name:
        """Return the name with the placeholders filled."""
        return x509.Name([x509.NameAttribute(ATTRIBUTES[key][0], fill(text, values)) for key, text in self.attributes])

    def count(self, placeholder: str) -> int:
        """Return how often a placeholder is used."""
        return sum(text.count(f"{{{placeholder}}}") for _, text in self.attributes)

    @property
    def chip_serials(self) -> int:
        """How often the chip's serial number is used."""
        return sum(count_chip_serials(text) for _, text in self.attributes)

    @property
    def units(self) -> int:
        """How often the unit's name is used."""
        return sum(count_units(text) for _, text in self.attributes)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with its placeholders replaced."""
    return _FIELD.sub(lambda match: values[match.group(1)], text)


def count_chip_serials(text: str) -> int:
    """Return how often a text holds the chip's serial number."""
    return sum(text.count(f"{{{placeholder}}}") for placeholder in CHIP_SERIALS)


def count_units(text: str) -> int:
    """Return how often a text holds the unit's name."""
    return text.count(f"{{{UNIT}}}")


def values_of_unit(rule: UnitRule | None, name: str) -> dict[str, str]:
    """Return the values of the placeholder for a unit's name, of the form and length that its rule has."""
    return {} if rule is None else {UNIT: name, UNIT_BYTES: rule.encoded(name).hex()}


def values_of_chip_serial(digits: str) -> dict[str, str]:
    """Return the values of the placeholders for the 18 hexadecimal digits of a chip's serial number."""
    return {CHIP_SERIAL: digits.upper(), CHIP_SERIAL_LOWER: digits.lower()}


def read_subject(table: Document, placeholders: Placeholders) -> SubjectDescription:
    """Read the [subject] table; only the given placeholders may be used."""
    found = read_attributes(table, placeholders)
    if not table.has("common_name"):
        raise table.fault("subject.common_name", "is missing")
    return found


def read_attributes(table: Document, placeholders: Placeholders) -> SubjectDescription:
    """Read the attributes of a name, in their order."""
    attributes = []
    for key in table.keys():  # noqa: SIM118 - a Document is not a mapping
        if key not in ATTRIBUTES:
            raise table.fault(table.at(key), f"is unknown; use one of {', '.join(ATTRIBUTES)}")
        attributes.append((key, _attribute(table, key, placeholders)))
    return SubjectDescription(tuple(attributes))


def _attribute(table: Document, key: str, placeholders: Placeholders) -> str:
    text = read_text(table, key, placeholders)
    for filled in placeholders.fillings(text):
        _check_length(table.fault, table.at(key), key, filled)
    return text


def read_text(table: Document, key: str, placeholders: Placeholders) -> str:
    """Return a printable text in which only the given placeholders are used."""
    text, path = table.get(key), table.at(key)
    if not isinstance(text, str) or not text.isprintable() or not text.strip() or text != text.strip():
        raise table.fault(path, "must be a string without spaces around it")
    for field in _FIELD.findall(text):
        if field not in placeholders.allowed:
            if field == UNIT and placeholders.names == CHIP_SERIALS:
                raise table.fault(path, "uses the placeholder {unit}, whose form a table [unit] must give")
            allowed = " and ".join(f"{{{name}}}" for name in placeholders.allowed) or "none"
            raise table.fault(path, f"uses the placeholder {{{field[:20]}}}; allowed here: {allowed}")
    if set("{}") & set(_FIELD.sub("", text)):
        raise table.fault(path, "has a brace that belongs to no placeholder")
    return text


def _check_length(fault: Fault, path: str, key: str, filled: str) -> None:
    longest = ATTRIBUTES[key][1]
    size = len(filled.encode())
    if key == "common_name" and size > longest >= len(filled):
        # `cryptography` counts the bytes and refuses more.
        raise fault(path, f"has {size} bytes in UTF-8 with its placeholders filled; {longest} are possible")
    if len(filled) > longest or (key == "country" and len(filled) != 2):
        raise fault(path, f"has {len(filled)} characters with its placeholders filled; X.509 allows {longest}")
    if key in _PRINTABLE_ONLY and not _PRINTABLE_STRING.fullmatch(filled):
        raise fault(path, "may have letters, digits and ' ( ) + , - . / : = ? only")


def check_signer_name(subject: SubjectDescription, fault: Fault) -> None:
    """Refuse a signer whose common name does not end in a space and the only placeholder, the signer id."""
    if not re.fullmatch(r"[^{}]*[^{} ] \{signer_id\}", subject.common_name) or subject.count(SIGNER_ID) != 1:
        raise fault("subject.common_name", "must end in ' {signer_id}', and nothing else may hold the signer id")
