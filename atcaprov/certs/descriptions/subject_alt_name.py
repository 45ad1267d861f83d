"""Subject alternative names of devices (RFC 5280, 4.2.1.6), each with the chip's serial number or the unit's name.

The names are of fixed length, so firmware can rebuild them: only the digits of the chip's serial number and the
characters of the unit's name vary. The serial number stands in text as 18 hexadecimal digits, in a hardwareModuleName
(RFC 4108, 5) as 9 raw bytes; the unit's name stands there as the chip holds it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography import x509

from atcaprov.certs import der
from atcaprov.certs.der import write_tlv
from atcaprov.certs.descriptions.extensions import OBJECT_ID
from atcaprov.certs.descriptions.subject import (
    CHIP_SERIAL,
    UNIT,
    UNIT_BYTES,
    Placeholders,
    SubjectDescription,
    count_chip_serials,
    count_units,
    fill,
    read_attributes,
    read_text,
)
from atcaprov.certs.document_reader import Document

HARDWARE_MODULE_NAME: Final = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DNS_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LONGEST_DNS_NAME: Final = 253
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_LONGEST_URI: Final = 200
_WANTED_TYPE: Final = 'must be an object id of your own, for example "1.3.6.1.4.1.32473.1"'
_HARDWARE_TYPE: Final = "hardware_module_type"
_HARDWARE_SERIAL: Final = "hardware_module_serial"
_KINDS: Final = ("uri", "dns_name", "directory_name", _HARDWARE_TYPE)
Value = str | SubjectDescription


@dataclass(frozen=True, slots=True)
class SubjectAltNameDescription:
    """The [subject_alt_name] table: (kind, text with placeholders or attributes) in the order of the certificate."""

    names: tuple[tuple[str, Value], ...]
    hardware_serial: str = CHIP_SERIAL
    """The placeholder of what the serial number in a hardware module name is."""

    @property
    def chip_serials(self) -> int:
        """How often the chip's serial number stands in the names."""
        return sum(_chip_serials(value) for _, value in self._texts) + self._has_hardware_serial(CHIP_SERIAL)

    @property
    def units(self) -> int:
        """How often the unit's name stands in the names as text."""
        return sum(_units(value) for _, value in self._texts)

    @property
    def hardware_units(self) -> int:
        """How often the unit's name stands in the names as bytes: in a hardware module name, or nowhere."""
        return self._has_hardware_serial(UNIT)

    @property
    def _texts(self) -> list[tuple[str, Value]]:
        return [(kind, value) for kind, value in self.names if kind != _HARDWARE_TYPE]

    def _has_hardware_serial(self, placeholder: str) -> int:
        return int(self.hardware_serial == placeholder and any(kind == _HARDWARE_TYPE for kind, _ in self.names))

    def general_names(self, values: Mapping[str, str]) -> x509.SubjectAlternativeName:
        """Return the extension's value; `values` fill the placeholders."""
        serial = values[UNIT_BYTES if self.hardware_serial == UNIT else CHIP_SERIAL]
        return x509.SubjectAlternativeName([_general_name(kind, value, values, serial) for kind, value in self.names])

    def document(self) -> dict[str, Any]:
        """Return the table of which `read_subject_alt_name` makes the same description."""
        table: dict[str, Any] = {
            kind: value if isinstance(value, str) else dict(value.attributes) for kind, value in self.names
        }
        return table | ({_HARDWARE_SERIAL: f"{{{UNIT}}}"} if self.hardware_units else {})


def _chip_serials(value: Value) -> int:
    return value.chip_serials if isinstance(value, SubjectDescription) else count_chip_serials(value)


def _units(value: Value) -> int:
    return value.units if isinstance(value, SubjectDescription) else count_units(value)


def _general_name(kind: str, value: Value, values: Mapping[str, str], serial: str) -> x509.GeneralName:
    if isinstance(value, SubjectDescription):
        return x509.DirectoryName(value.name(values))
    if kind == "uri":
        return x509.UniformResourceIdentifier(fill(value, values))
    if kind == "dns_name":
        return x509.DNSName(fill(value, values))
    return x509.OtherName(HARDWARE_MODULE_NAME, _hardware_module_name(value, bytes.fromhex(serial)))


def _hardware_module_name(hardware_type: str, serial: bytes) -> bytes:
    """Return HardwareModuleName in DER (RFC 4108, 5): SEQUENCE { hwType, hwSerialNum }."""
    return write_tlv(der.SEQUENCE, _object_id(hardware_type), write_tlv(der.OCTET_STRING, serial))


def _object_id(text: str) -> bytes:
    """Return an object id in DER; raises ValueError. `cryptography` writes one only inside another element."""
    sequence = x509.ExtendedKeyUsage([x509.ObjectIdentifier(text)]).public_bytes()
    return sequence[2:]


def read_subject_alt_name(table: Document, placeholders: Placeholders) -> SubjectAltNameDescription:
    """Read the [subject_alt_name] table of a device's description; an error names the key at fault."""
    kinds = [kind for kind in table.keys() if kind != _HARDWARE_SERIAL]  # noqa: SIM118 - a Document is not a mapping
    for kind in kinds:
        if kind not in _KINDS:
            raise table.fault(table.at(kind), f"is unknown; use one of {', '.join(_KINDS)}")
    serial = _hardware_serial(table, placeholders) if table.has(_HARDWARE_SERIAL) else CHIP_SERIAL
    if not kinds:
        raise table.fault("subject_alt_name", "must have at least one name, or be left out")
    names = tuple((kind, _READERS[kind](table, kind, placeholders)) for kind in kinds)
    return SubjectAltNameDescription(names, serial)


def _hardware_serial(table: Document, placeholders: Placeholders) -> str:
    if not table.has(_HARDWARE_TYPE):
        raise table.fault(table.at(_HARDWARE_SERIAL), f"needs {_HARDWARE_TYPE} beside it")
    text = read_text(table, _HARDWARE_SERIAL, placeholders)
    for placeholder in (CHIP_SERIAL, UNIT):
        if text == f"{{{placeholder}}}":
            return placeholder
    raise table.fault(table.at(_HARDWARE_SERIAL), "must be {unit}, or {chip_serial}, which stands there by itself")


def _uri(table: Document, key: str, placeholders: Placeholders) -> str:
    text = read_text(table, key, placeholders)
    for filled in placeholders.fillings(text):
        if not _URI.fullmatch(filled):
            raise table.fault(table.at(key), "must be a URI with its scheme, for example urn:example:{chip_serial}")
        if len(filled) > _LONGEST_URI:
            raise table.fault(table.at(key), f"has {len(filled)} characters; {_LONGEST_URI} are possible")
    return text


def _dns_name(table: Document, key: str, placeholders: Placeholders) -> str:
    text = read_text(table, key, placeholders)
    for filled in placeholders.fillings(text):
        if not _DNS_NAME.fullmatch(filled) or len(filled) > _LONGEST_DNS_NAME:
            raise table.fault(
                table.at(key),
                "must be a host name: labels of at most 63 letters, digits and hyphens, with dots between",
            )
    return text


def _directory_name(table: Document, key: str, placeholders: Placeholders) -> SubjectDescription:
    found = read_attributes(table.inner(key), placeholders)
    if not found.attributes:
        raise table.fault(table.at(key), "must have at least one attribute")
    return found


def _hardware_module_type(table: Document, key: str, _: Placeholders) -> str:
    text = table.get(key)
    if not isinstance(text, str) or not OBJECT_ID.fullmatch(text):
        raise table.fault(table.at(key), _WANTED_TYPE)
    try:
        _object_id(text)
    except ValueError:
        raise table.fault(table.at(key), _WANTED_TYPE) from None
    return text


_READERS: Final[Mapping[str, Callable[[Document, str, Placeholders], Value]]] = MappingProxyType(
    {
        "uri": _uri,
        "dns_name": _dns_name,
        "directory_name": _directory_name,
        _HARDWARE_TYPE: _hardware_module_type,
    }
)
assert tuple(_READERS) == _KINDS
