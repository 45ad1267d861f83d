"""Make the preset dictionary of signer modules, version 1, from its parts.

The parts are the words that descriptions may use, the beginning of a self-signed root certificate with zeros for key,
key ids and serial number, and the descriptions that were the defaults when the format was settled.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2

from atcaprov.certs.der import (
    BIT_STRING,
    BOOLEAN,
    GENERALIZED_TIME,
    INTEGER,
    OBJECT_ID,
    OCTET_STRING,
    SEQUENCE,
    SET,
    UTC_TIME,
)
from atcaprov.certs.der import (
    write_tlv as tlv,
)

_WORDS: Final = (
    "sha",
    "country",
    "state",
    "locality",
    "organizational_unit",
    "crl_sign",
    "content_commitment",
    "server_auth",
    "DEVICE_SN_HASH",
    "DEVICE_SN",
    "SIGNER_ID",
)
_YEAR: Final = 2026
_COMMON: Final[dict[str, Any]] = {"chain_id": 0, "serial_number": "PUB_KEY_HASH"}
_NO_EXPIRY: Final = {"expire_years": 0, "compressed_format": 0}
_SIGNER: Final = {
    "role": "signer",
    "subject": {"organization": "Example Organization", "common_name": "Example ATECC608A Signer {signer_id}"},
    "validity": _NO_EXPIRY,
    "extensions": {"key_usage": ["digital_signature", "key_cert_sign", "crl_sign"], "path_length": 0},
    "name": "signer",
    "template_id": 1,
    **_COMMON,
    "slots": {"compressed_certificate": 12, "public_key": 11},
    "serial_number_size": 16,
}
_DEVICE: Final = {
    "role": "device",
    "subject": {"organization": "Example Organization", "common_name": "Example ATECC608A Device {chip_serial}"},
    "validity": _NO_EXPIRY,
    "extensions": {"key_usage": ["digital_signature", "key_agreement"], "extended_key_usage": ["client_auth"]},
    "name": "device",
    "template_id": 2,
    **_COMMON,
    "slots": {"compressed_certificate": 10, "private_key": 0},
    "serial_number_size": 16,
}

_UTF8_STRING: Final = 0x0C
_VERSION, _EXTENSIONS, _KEY_ID = 0xA0, 0xA3, 0x80
"""Context-specific tags of Certificate and AuthorityKeyIdentifier (RFC 5280, 4.1 and 4.2.1.1)."""
_ORGANIZATION, _COMMON_NAME = bytes.fromhex("55040a"), bytes.fromhex("550403")
_BASIC_CONSTRAINTS, _KEY_USAGE = bytes.fromhex("551d13"), bytes.fromhex("551d0f")
_SUBJECT_KEY_ID, _AUTHORITY_KEY_ID = bytes.fromhex("551d0e"), bytes.fromhex("551d23")
_EC_PUBLIC_KEY, _PRIME256V1 = bytes.fromhex("2a8648ce3d0201"), bytes.fromhex("2a8648ce3d030107")
_ECDSA_WITH_SHA256: Final = bytes.fromhex("2a8648ce3d040302")
_KEY_CERT_SIGN_CRL_SIGN: Final = bytes.fromhex("0106")
_TRUE: Final = b"\xff"
_SIGNATURE_SIZE: Final = 72
"""Of the usual signature, which the lengths count though it is not there."""


def dictionary() -> bytes:
    """Return the 1,268 bytes of `signer_module.on_chip.preset_dictionary`."""
    return cbor2.dumps(list(_WORDS)) + _certificate() + cbor2.dumps([_YEAR, _SIGNER, _DEVICE])


def _certificate() -> bytes:
    """Return a root certificate up to its signature, which is missing."""
    algorithm = tlv(SEQUENCE, tlv(OBJECT_ID, _ECDSA_WITH_SHA256))
    name = _name()
    signed = tlv(
        SEQUENCE,
        tlv(_VERSION, tlv(INTEGER, b"\x02")),
        tlv(INTEGER, bytes(20)),
        algorithm,
        name,
        tlv(SEQUENCE, tlv(UTC_TIME, b"260101000000Z"), tlv(GENERALIZED_TIME, b"99991231235959Z")),
        name,
        _public_key(),
        tlv(_EXTENSIONS, tlv(SEQUENCE, *_extensions())),
    )
    signature = tlv(BIT_STRING, bytes(_SIGNATURE_SIZE))
    return tlv(SEQUENCE, signed, algorithm, signature)[: -len(signature)]


def _name() -> bytes:
    attributes = ((_ORGANIZATION, b"Example Organization"), (_COMMON_NAME, b"Example ATECC608A Root CA"))
    parts = [tlv(SET, tlv(SEQUENCE, tlv(OBJECT_ID, kind), tlv(_UTF8_STRING, text))) for kind, text in attributes]
    return tlv(SEQUENCE, *parts)


def _public_key() -> bytes:
    algorithm = tlv(SEQUENCE, tlv(OBJECT_ID, _EC_PUBLIC_KEY), tlv(OBJECT_ID, _PRIME256V1))
    return tlv(SEQUENCE, algorithm, tlv(BIT_STRING, b"\0\x04" + bytes(64)))


def _extensions() -> tuple[bytes, ...]:
    key_id = bytes(20)
    return (
        _extension(
            _BASIC_CONSTRAINTS,
            tlv(SEQUENCE, tlv(BOOLEAN, _TRUE), tlv(INTEGER, b"\x01")),
            critical=True,
        ),
        _extension(_KEY_USAGE, tlv(BIT_STRING, _KEY_CERT_SIGN_CRL_SIGN), critical=True),
        _extension(_SUBJECT_KEY_ID, tlv(OCTET_STRING, key_id)),
        _extension(_AUTHORITY_KEY_ID, tlv(SEQUENCE, tlv(_KEY_ID, key_id))),
    )


def _extension(kind: bytes, value: bytes, *, critical: bool = False) -> bytes:
    flag = tlv(BOOLEAN, _TRUE) if critical else b""
    return tlv(SEQUENCE, tlv(OBJECT_ID, kind), flag, tlv(OCTET_STRING, value))
