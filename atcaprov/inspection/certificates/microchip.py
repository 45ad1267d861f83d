"""Microchip's certificates on Trust parts: TNGTLS, TFLXTLS and TNGLORA.

Names, order of extensions, template ids and places are those of the vendor's published definitions (cryptoauthlib
app/tng: tngtls_cert_def_1_signer.c, _2_device.c, _3_device.c, tflxtls_cert_def_4_device.c and the tnglora files).
notBefore is a UTCTime, notAfter a GeneralizedTime in every year. Serial number: 16 bytes of SHA-256 of key and dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from atcaprov.certs.compressed_form import CompressedCertificate, hashed_dates
from atcaprov.certs.dates import DateFormat, expire_date
from atcaprov.certs.keys import PADDED_KEY_SIZE, key_id, load_public_key, unpadded_public_key
from atcaprov.certs.serial_number import SerialSource, generate
from atcaprov.errors import CertificateError
from atcaprov.inspection.certificates import x509_writer as x509
from atcaprov.inspection.certificates.found import FoundCertificate, FoundChain, Layout, is_signed_by
from atcaprov.inspection.snapshot import ChipSnapshot

_ORGANIZATION: Final = ("O", "Microchip Technology Inc")
_ROOT_NAME: Final = x509.name((_ORGANIZATION, ("CN", "Crypto Authentication Root CA 002")))
ROOT_KEY_ID: Final = bytes.fromhex("7aed7d6dc6b7789db23801a5e84a8cb0a40e2a8c")
"""Key id of Crypto Authentication Root CA 002, which every signer certificate names."""
_SIGNER_TEMPLATE: Final = 1
SLOTS: Final = frozenset({5, 8, 10, 11, 12})
"""Data slots with parts of the maker's certificates, of all kinds of Trust parts."""
_SERIAL_SIZE: Final = 16
_SIGNER_USAGE, _DEVICE_USAGE = "0186", "0388"  # digitalSignature with keyCertSign and cRLSign, with keyAgreement


@dataclass(frozen=True)
class _Place:
    slot: int
    offset: int
    count: int = 72

    def of(self, chip: ChipSnapshot) -> bytes | None:
        return chip.stored(self.slot, self.offset, self.count)


@dataclass(frozen=True)
class _Address:
    """An IEEE address that the subject alternative name holds: its prefix there, and its text on the chip."""

    prefix: str
    place: _Place


@dataclass(frozen=True)
class _Kind:
    """One published device definition. `common_name` has the chip's serial number in the place of {}."""

    layout: Layout
    template: int
    common_name: str
    address: _Address | None = None


@dataclass(frozen=True)
class _Places:
    key_slot: int
    device: _Place
    signer_key: _Place
    signer: _Place
    kinds: tuple[_Kind, ...]


_TLS: Final = _Places(
    0,
    _Place(10, 0),
    _Place(11, 0),
    _Place(12, 0),
    (
        _Kind(Layout.TNGTLS, 3, "sn{}", _Address("eui48_", _Place(5, 0, 12))),
        _Kind(Layout.TFLXTLS, 3, "sn{}"),
        _Kind(Layout.TNGTLS, 2, "{} ATECC"),
    ),
)
_LORA: Final = _Places(
    1,
    _Place(8, 72),
    _Place(8, 0),
    _Place(8, 144),
    (
        _Kind(Layout.TNGLORA, 4, "sn{}", _Address("eui64_", _Place(10, 0, 16))),
        _Kind(Layout.TNGLORA, 2, "{} ATECC"),
    ),
)


def find(chip: ChipSnapshot) -> Iterator[FoundChain]:
    """Yield the maker's chain if the chip holds one: signed by the signer key that stands beside it."""
    for places in (_TLS, _LORA):
        chain = _found(chip, places)
        if chain is not None:
            yield chain


def _found(chip: ChipSnapshot, places: _Places) -> FoundChain | None:
    key = chip.public_keys.get(places.key_slot)
    signer_key = _stored_key(places.signer_key.of(chip))
    device, signer = _compressed(places.device.of(chip)), _compressed(places.signer.of(chip))
    if key is None or signer_key is None or device is None or signer is None:
        return None
    if CompressedCertificate.parse(signer).template_id != _SIGNER_TEMPLATE:
        return None
    for kind in places.kinds:
        der = _device_certificate(chip, kind, device, key, signer_key)
        if der is not None and is_signed_by(der, signer_key):
            slots = (places.device.slot, *([kind.address.place.slot] if kind.address else []))
            signer_slots = tuple(dict.fromkeys((places.signer.slot, places.signer_key.slot)))
            found = FoundCertificate(_signer_certificate(signer, signer_key), signer_slots)
            return FoundChain(kind.layout, (FoundCertificate(der, slots), found), places.key_slot, is_signed=True)
    return None


def _compressed(data: bytes | None) -> bytes | None:
    """Return the 72 bytes if they are a compressed certificate with a serial number hashed from the key."""
    try:
        parsed = CompressedCertificate.parse(data or b"")
    except CertificateError:
        return None
    return data if parsed.sn_source is SerialSource.PUB_KEY_HASH and parsed.chain_id == 0 else None


def _stored_key(data: bytes | None) -> bytes | None:
    """Return X||Y of a key in a slot, or None if it is no key."""
    if data is None or len(data) != PADDED_KEY_SIZE:
        return None
    try:
        key = unpadded_public_key(data)
        load_public_key(key)
    except CertificateError:
        return None
    return key


def _device_certificate(
    chip: ChipSnapshot, kind: _Kind, compressed: bytes, key: bytes, signer_key: bytes
) -> bytes | None:
    parsed = CompressedCertificate.parse(compressed)
    if parsed.template_id != kind.template:
        return None
    extensions = [x509.basic_constraints(), x509.key_usage(_DEVICE_USAGE), x509.subject_key_id(key_id(key))]
    extensions.append(x509.authority_key_id(key_id(signer_key)))
    if kind.address is not None:
        text = kind.address.place.of(chip)
        if text is None or not text.isascii() or not text.isalnum():
            return None
        serial = (("serialNumber", kind.address.prefix + text.decode()),)
        extensions.insert(0, x509.directory_alternative_name(serial, x509.PRINTABLE_STRING))
    subject = kind.common_name.format(chip.serial_number.hex().upper())
    return _certificate(compressed, _signer_name(parsed), x509.name((_ORGANIZATION, ("CN", subject))), key, extensions)


def _signer_certificate(compressed: bytes, key: bytes) -> bytes:
    extensions = [
        x509.key_usage(_SIGNER_USAGE),
        x509.authority_constraints(),
        x509.subject_key_id(key_id(key)),
        x509.authority_key_id(ROOT_KEY_ID),
    ]
    subject = _signer_name(CompressedCertificate.parse(compressed))
    return _certificate(compressed, _ROOT_NAME, subject, key, extensions)


def _signer_name(parsed: CompressedCertificate) -> bytes:
    return x509.name((_ORGANIZATION, ("CN", f"Crypto Authentication Signer {parsed.signer_id.hex().upper()}")))


def _certificate(compressed: bytes, issuer: bytes, subject: bytes, key: bytes, extensions: list[bytes]) -> bytes:
    parsed = CompressedCertificate.parse(compressed)
    end = expire_date(parsed.issue_date, parsed.expire_years, DateFormat.RFC5280_GEN)
    serial = generate(
        SerialSource.PUB_KEY_HASH,
        _SERIAL_SIZE,
        public_key=key,
        chip_serial=None,
        signer_id=parsed.signer_id,
        dates=hashed_dates(compressed),
    )
    fields = x509.CertificateFields(
        serial_number=serial,
        issuer=issuer,
        not_before=x509.date(parsed.issue_date, DateFormat.RFC5280_UTC),
        not_after=x509.date(end, DateFormat.RFC5280_GEN),
        subject=subject,
        public_key=key,
        extensions=tuple(extensions),
    )
    return fields.signed(parsed.signature)
