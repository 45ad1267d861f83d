"""Microchip's certificates on Trust parts: TNGTLS, TFLXTLS and TNGLORA.

Names, order of extensions, template ids and places are those of the vendor's published definitions (cryptoauthlib
app/tng: tngtls_cert_def_1_signer.c, _2_device.c, _3_device.c, tflxtls_cert_def_4_device.c and the tnglora files).
notBefore is a UTCTime, notAfter a GeneralizedTime in every year. Serial number: 16 bytes of SHA-256 of key and dates.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.dates import DateFormat, expire_date
from atcaprov.certs.keys import key_id
from atcaprov.certs.serial_number import SerialSource
from atcaprov.chip.trust_parts import trust_part
from atcaprov.errors import CertificateError
from atcaprov.inspection.certificates import x509_writer as x509
from atcaprov.inspection.certificates.found import FoundCertificate, FoundChain, StorageLayout, is_signed_by
from atcaprov.inspection.certificates.slot_parts import compressed_form, hashed_serial, padded_key
from atcaprov.inspection.snapshot import ChipSnapshot

_ORGANIZATION: Final = ("O", "Microchip Technology Inc")
_ROOT_NAME: Final = x509.name((_ORGANIZATION, ("CN", "Crypto Authentication Root CA 002")))
ROOT_KEY_ID: Final = bytes.fromhex("7aed7d6dc6b7789db23801a5e84a8cb0a40e2a8c")
"""Key id of Crypto Authentication Root CA 002, which every signer certificate names."""
MAKER_LAYOUTS: Final = frozenset({StorageLayout.TNGTLS, StorageLayout.TFLXTLS, StorageLayout.TNGLORA})
_SIGNER_TEMPLATE: Final = 1
SLOTS: Final = frozenset({5, 8, 10, 11, 12})
"""Data slots with parts of the maker's certificates, of all kinds of Trust parts."""
_Form = tuple[bytes, CompressedCertificate]
_SIGNER_USAGE, _DEVICE_USAGE = "0186", "0388"  # digitalSignature with keyCertSign and cRLSign, with keyAgreement


@dataclass(frozen=True)
class _Address:
    """An IEEE address that the subject alternative name holds: its prefix there, and its text on the chip."""

    prefix: str
    slot: int
    count: int


@dataclass(frozen=True)
class _Kind:
    """One published device definition. `common_name` has the chip's serial number in the place of {}."""

    layout: StorageLayout
    template: int
    common_name: str
    address: _Address | None = None


@dataclass(frozen=True)
class _Places:
    key_slot: int
    device: tuple[int, int]
    """Slot and offset, as of the next two."""
    signer_key: tuple[int, int]
    signer: tuple[int, int]
    kinds: tuple[_Kind, ...]


_TLS: Final = _Places(
    0,
    (10, 0),
    (11, 0),
    (12, 0),
    (
        _Kind(StorageLayout.TNGTLS, 3, "sn{}", _Address("eui48_", 5, 12)),
        _Kind(StorageLayout.TFLXTLS, 3, "sn{}"),
        _Kind(StorageLayout.TNGTLS, 2, "{} ATECC"),
    ),
)
_LORA: Final = _Places(
    1,
    (8, 72),
    (8, 0),
    (8, 144),
    (
        _Kind(StorageLayout.TNGLORA, 4, "sn{}", _Address("eui64_", 10, 16)),
        _Kind(StorageLayout.TNGLORA, 2, "{} ATECC"),
    ),
)


def find(chip: ChipSnapshot) -> Iterator[FoundChain]:
    """Yield the maker's chain if the chip holds one: signed by the signer key that stands beside it."""
    for places in (_TLS, _LORA):
        with suppress(CertificateError):  # the compressed form can hold dates that no certificate can have
            chain = _found(chip, places)
            if chain is not None:
                yield chain


def _found(chip: ChipSnapshot, places: _Places) -> FoundChain | None:
    key = chip.public_keys.get(places.key_slot)
    signer_key = padded_key(chip, *places.signer_key)
    device, signer = compressed_form(chip, *places.device), compressed_form(chip, *places.signer)
    if key is None or signer_key is None or device is None or signer is None:
        return None
    if not _is_of(device, None) or not _is_of(signer, _SIGNER_TEMPLATE):
        return None
    for kind in places.kinds:
        der = _device_certificate(chip, kind, device, key, signer_key)
        if der is not None and is_signed_by(der, signer_key):
            slots = (places.device[0], *([kind.address.slot] if kind.address else []))
            signer_slots = tuple(dict.fromkeys((places.signer[0], places.signer_key[0])))
            found = FoundCertificate(_signer_certificate(signer, signer_key), signer_slots)
            chain = (FoundCertificate(der, slots), found)
            return FoundChain(_layout(chip, kind), chain, places.key_slot, is_signed=True)
    return None


def _layout(chip: ChipSnapshot, kind: _Kind) -> StorageLayout:
    """Return the part by its configuration, since early TFLXTLS have certificates of the same kind as a TNGTLS."""
    part = trust_part(chip.config)
    name = "" if part is None else part.name.lower()
    return StorageLayout(name) if name in MAKER_LAYOUTS else kind.layout


def _is_of(form: _Form, template: int | None) -> bool:
    """Tell whether a compressed certificate has the ids of the maker's, and this template id if one is given."""
    parsed = form[1]
    ours = parsed.sn_source is SerialSource.PUB_KEY_HASH and parsed.chain_id == 0
    return ours and template in (None, parsed.template_id)


def _device_certificate(chip: ChipSnapshot, kind: _Kind, form: _Form, key: bytes, signer_key: bytes) -> bytes | None:
    if form[1].template_id != kind.template:
        return None
    extensions = [x509.basic_constraints(), x509.key_usage(_DEVICE_USAGE), x509.subject_key_id(key_id(key))]
    extensions.append(x509.authority_key_id(key_id(signer_key)))
    if kind.address is not None:
        text = chip.stored(kind.address.slot, 0, kind.address.count)
        if text is None or not text.isascii() or not text.isalnum():
            return None
        serial = (("serialNumber", kind.address.prefix + text.decode()),)
        extensions.insert(0, x509.directory_alternative_name(serial, x509.PRINTABLE_STRING))
    subject = kind.common_name.format(chip.serial_number.hex().upper())
    return _certificate(form, _signer_name(form), x509.name((_ORGANIZATION, ("CN", subject))), key, extensions)


def _signer_certificate(form: _Form, key: bytes) -> bytes:
    extensions = [
        x509.key_usage(_SIGNER_USAGE),
        x509.authority_constraints(),
        x509.subject_key_id(key_id(key)),
        x509.authority_key_id(ROOT_KEY_ID),
    ]
    return _certificate(form, _ROOT_NAME, _signer_name(form), key, extensions)


def _signer_name(form: _Form) -> bytes:
    return x509.name((_ORGANIZATION, ("CN", f"Crypto Authentication Signer {form[1].signer_id.hex().upper()}")))


def _certificate(form: _Form, issuer: bytes, subject: bytes, key: bytes, extensions: list[bytes]) -> bytes:
    compressed, parsed = form
    end = expire_date(parsed.issue_date, parsed.expire_years, DateFormat.RFC5280_GEN)
    fields = x509.CertificateFields(
        serial_number=hashed_serial(SerialSource.PUB_KEY_HASH, compressed, public_key=key),
        issuer=issuer,
        not_before=x509.date(parsed.issue_date, DateFormat.RFC5280_UTC),
        not_after=x509.date(end, DateFormat.RFC5280_GEN),
        subject=subject,
        public_key=key,
        extensions=tuple(extensions),
    )
    return fields.signed(parsed.signature)
