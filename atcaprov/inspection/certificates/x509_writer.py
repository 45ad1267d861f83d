"""Write a certificate from its fields in the exact bytes that the program that issued it wrote (RFC 5280, DER).

A general X.509 builder decides some encodings itself (kind of string, kind of date), so it cannot repeat those of
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from atcaprov.certs import der
from atcaprov.certs.dates import DateFormat, format_date, needed_format
from atcaprov.certs.der import write_tlv
from atcaprov.certs.keys import der_signature
from atcaprov.certs.x509_layout import ECDSA_WITH_SHA256, P256_KEY_PREFIX, VERSION_3

UTF8_STRING: Final = 0x0C
PRINTABLE_STRING: Final = 0x13
_IMPLICIT_0: Final = 0x80
_EXTENSIONS: Final = 0xA3
_DIRECTORY_NAME: Final = 0xA4
_TRUE: Final = bytes((der.BOOLEAN, 1, 0xFF))
_ATTRIBUTES: Final = MappingProxyType(
    {"C": "550406", "O": "55040a", "OU": "55040b", "CN": "550403", "serialNumber": "550405"}
)
_DATE_TAGS: Final = MappingProxyType(
    {DateFormat.RFC5280_UTC: der.UTC_TIME, DateFormat.RFC5280_GEN: der.GENERALIZED_TIME}
)

NameParts = Sequence[tuple[str, str]]
"""Attributes of a name in their order, such as ("O", "Example")."""


def name(parts: NameParts, string: int = UTF8_STRING) -> bytes:
    """Return a name whose attributes are strings with the tag `string`."""
    sets = []
    for attribute, text in parts:
        object_id = write_tlv(der.OBJECT_ID, bytes.fromhex(_ATTRIBUTES[attribute]))
        sets.append(write_tlv(der.SET, write_tlv(der.SEQUENCE, object_id, write_tlv(string, text.encode()))))
    return write_tlv(der.SEQUENCE, *sets)


def date(moment: datetime, form: DateFormat | None = None) -> bytes:
    """Return a date; without `form` as the kind that RFC 5280 demands for its year."""
    chosen = form or needed_format(moment.year)
    return write_tlv(_DATE_TAGS[chosen], format_date(moment, chosen))


def basic_constraints(*, critical: bool = True) -> bytes:
    """Return the extension of an end entity."""
    return _extension("551d13", write_tlv(der.SEQUENCE), critical=critical)


def authority_constraints() -> bytes:
    """Return the extension of a CA that may issue end entities only, critical."""
    return _extension("551d13", write_tlv(der.SEQUENCE, _TRUE, bytes((der.INTEGER, 1, 0))), critical=True)


def key_usage(bits: str) -> bytes:
    """Return the critical extension with this BIT STRING content: unused bits, then bits, as hexadecimal text."""
    return _extension("551d0f", write_tlv(der.BIT_STRING, bytes.fromhex(bits)), critical=True)


def extended_key_usage(*object_ids: str) -> bytes:
    """Return the extension; object ids as the hexadecimal text of their content."""
    ids = (write_tlv(der.OBJECT_ID, bytes.fromhex(object_id)) for object_id in object_ids)
    return _extension("551d25", write_tlv(der.SEQUENCE, *ids))


def subject_key_id(identifier: bytes) -> bytes:
    """Return the extension with a key id."""
    return _extension("551d0e", write_tlv(der.OCTET_STRING, identifier))


def authority_key_id(identifier: bytes) -> bytes:
    """Return the extension with the key id of the issuer only."""
    return _extension("551d23", write_tlv(der.SEQUENCE, write_tlv(_IMPLICIT_0, identifier)))


def directory_alternative_name(parts: NameParts, string: int) -> bytes:
    """Return the subject alternative name that is one directory name."""
    return _extension("551d11", write_tlv(der.SEQUENCE, write_tlv(_DIRECTORY_NAME, name(parts, string))))


def _extension(object_id: str, value: bytes, *, critical: bool = False) -> bytes:
    mark = _TRUE if critical else b""
    octets = write_tlv(der.OCTET_STRING, value)
    return write_tlv(der.SEQUENCE, write_tlv(der.OBJECT_ID, bytes.fromhex(object_id)), mark, octets)


@dataclass(frozen=True)
class CertificateFields:
    """The signed part of a certificate for a P-256 key, each field in DER but for serial number and key."""

    serial_number: bytes
    """Unsigned, big-endian; leading zeros are dropped."""
    issuer: bytes
    not_before: bytes
    not_after: bytes
    subject: bytes
    public_key: bytes
    """X||Y, 64 bytes."""
    extensions: tuple[bytes, ...] = ()

    def signed(self, signature: bytes) -> bytes:
        """Return the certificate (DER) with the signature R||S (64 bytes)."""
        bits = write_tlv(der.BIT_STRING, b"\0", der_signature(signature))
        return write_tlv(der.SEQUENCE, self._to_be_signed(), ECDSA_WITH_SHA256, bits)

    def _to_be_signed(self) -> bytes:
        number = int.from_bytes(self.serial_number)
        extensions = write_tlv(der.SEQUENCE, *self.extensions)
        return write_tlv(
            der.SEQUENCE,
            VERSION_3,
            write_tlv(der.INTEGER, number.to_bytes(number.bit_length() // 8 + 1)),
            ECDSA_WITH_SHA256,
            self.issuer,
            write_tlv(der.SEQUENCE, self.not_before, self.not_after),
            self.subject,
            P256_KEY_PREFIX + self.public_key,
            write_tlv(_EXTENSIONS, extensions),
        )
