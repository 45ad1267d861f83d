"""Subject names of descriptions, with placeholders for what differs between certificates."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from atcaprov.certs.document_reader import Document, Fault

CHIP_SERIAL: Final = "chip_serial"
CHIP_SERIAL_LOWER: Final = "chip_serial_lower"
CHIP_SERIALS: Final = (CHIP_SERIAL, CHIP_SERIAL_LOWER)
"""The placeholders of the chip's serial number: with upper-case and with lower-case digits."""
SIGNER_ID: Final = "signer_id"
PLACEHOLDER_SIZES: Final = MappingProxyType({CHIP_SERIAL: 18, CHIP_SERIAL_LOWER: 18, SIGNER_ID: 4})
"""Hexadecimal digits that take a placeholder's place."""

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


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with its placeholders replaced."""
    return _FIELD.sub(lambda match: values[match.group(1)], text)


def fill_with_zeros(text: str) -> str:
    """Return `text` with zeros for its placeholders, to check its length and characters."""
    return fill(text, {name: "0" * size for name, size in PLACEHOLDER_SIZES.items()})


def count_chip_serials(text: str) -> int:
    """Return how often a text holds the chip's serial number."""
    return sum(text.count(f"{{{placeholder}}}") for placeholder in CHIP_SERIALS)


def values_of_chip_serial(digits: str) -> dict[str, str]:
    """Return the values of the placeholders for the 18 hexadecimal digits of a chip's serial number."""
    return {CHIP_SERIAL: digits.upper(), CHIP_SERIAL_LOWER: digits.lower()}


def read_subject(table: Document, placeholders: tuple[str, ...]) -> SubjectDescription:
    """Read the [subject] table; only the given placeholders may be used."""
    found = read_attributes(table, placeholders)
    if not table.has("common_name"):
        raise table.fault("subject.common_name", "is missing")
    return found


def read_attributes(table: Document, placeholders: tuple[str, ...]) -> SubjectDescription:
    """Read the attributes of a name, in their order."""
    attributes = []
    for key in table.keys():  # noqa: SIM118 - a Document is not a mapping
        if key not in ATTRIBUTES:
            raise table.fault(table.at(key), f"is unknown; use one of {', '.join(ATTRIBUTES)}")
        attributes.append((key, _attribute(table, key, placeholders)))
    return SubjectDescription(tuple(attributes))


def _attribute(table: Document, key: str, placeholders: tuple[str, ...]) -> str:
    text = read_text(table, key, placeholders)
    _check_length(table.fault, table.at(key), key, fill_with_zeros(text))
    return text


def read_text(table: Document, key: str, placeholders: tuple[str, ...]) -> str:
    """Return a printable text in which only the given placeholders are used."""
    text, path = table.get(key), table.at(key)
    if not isinstance(text, str) or not text.isprintable() or not text.strip() or text != text.strip():
        raise table.fault(path, "must be a string without spaces around it")
    for field in _FIELD.findall(text):
        if field not in placeholders:
            allowed = " and ".join(f"{{{name}}}" for name in placeholders) or "none"
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
