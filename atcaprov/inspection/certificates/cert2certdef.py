"""Chains in the form that the vendor's script cert2certdef.py describes, as esp-cryptoauth-utility writes them.

Sources: espressif/esp-cryptoauthlib port/cert_def_1_signer.c, esp_cryptoauth_utility/firmware/main/cert_def_2_device.c
and helper_scripts/cert_sign.py; MicrochipTech/aws-iot-zero-touch-secure-provisioning-kit cert_def_2_device.c and
kmwebnet/ECC608-Provision scripts/create_device.py. The script's places: device certificate in slot 10, key and
certificate of the signer in 11 and 12, and in slot 14 the signer's serial number (up to byte 20) and its dates as text
(up to bytes 35 and 50). The end date of a device certificate is in the definition alone, and names are every company's
own; so both are tried here and the signature decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from cryptography import x509 as pyca
from cryptography.x509.oid import NameOID

from atcaprov.certs import der
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.dates import DATE_SIZES, DateFormat, parse_date
from atcaprov.certs.keys import key_id
from atcaprov.certs.serial_number import SerialSource
from atcaprov.certs.x509_layout import authority_layout
from atcaprov.errors import CertificateError
from atcaprov.inspection.certificates import x509_writer as x509
from atcaprov.inspection.certificates.found import FoundCertificate, FoundChain, StorageLayout, is_signed_by
from atcaprov.inspection.certificates.slot_parts import compressed_form, hashed_serial, padded_key
from atcaprov.inspection.snapshot import ChipSnapshot

_KEY_SLOT, _DEVICE, _SIGNER_KEY, _SIGNER, _STORED = 0, 10, 11, 12, 14
_SERIAL_END, _BEGIN_END, _END_END = 20, 35, 50
_FAR_END: Final = datetime(3000, 12, 31, 23, 59, 59, tzinfo=UTC)
_MOST_YEARS: Final = 127
_ESP_USAGE: Final = "05e0"  # digitalSignature, nonRepudiation, keyEncipherment
_ESP_SIGNER_USAGE: Final = "0186"  # digitalSignature, keyCertSign, cRLSign
_ESP_ROOT: Final = (("O", "ESP"), ("CN", "Sample Root CA"))
_ESP_ROOT_KEY_ID: Final = bytes.fromhex("473971476e01267f3a7c8f3f68971735e65d4aba")
_ESP_SIGNER_KEY_ID: Final = bytes.fromhex("d09f1c0e11ed7a5b0c7e98d25f25f1d27acb3462")


class _Issuer(NamedTuple):
    """Who signed a device certificate: name in DER, organization, and the certificate if it is known."""

    name: bytes
    organization: str
    certificate: bytes | None = None


def _published(organization: str, common_name: str) -> _Issuer:
    return _Issuer(x509.name((("O", organization), ("CN", common_name))), organization)


_PUBLISHED: Final = (_published("ESP", "Sample Signer FFFF"), _published("Example Inc", "Example Signer FFFF"))


def find(chip: ChipSnapshot, issuers: Sequence[bytes] = ()) -> Iterator[FoundChain]:
    """Yield the chip's chain if the key in slot 11 signed it, under a published name or one of `issuers` (DER)."""
    key, signer_key = chip.public_keys.get(_KEY_SLOT), padded_key(chip, _SIGNER_KEY)
    form = compressed_form(chip, _DEVICE)
    if key is None or signer_key is None or form is None or form[1].sn_source is not SerialSource.PUB_KEY_HASH:
        return
    given = (issuer for issuer in map(_given, issuers) if issuer is not None)
    for issuer in (*given, *_PUBLISHED):
        for layout, candidate in _candidates(chip, issuer, form, key, signer_key):
            if is_signed_by(candidate, signer_key):
                signer = issuer.certificate or _sample_signer(chip, signer_key)
                found = [FoundCertificate(candidate, (_DEVICE,))]
                if signer is not None:
                    found.append(FoundCertificate(signer, (_SIGNER, _SIGNER_KEY, _STORED)))
                yield FoundChain(layout, tuple(found), _KEY_SLOT, is_signed=True)
                return


def _given(certificate: bytes) -> _Issuer | None:
    """Return the issuer whose certificate (DER) is given; None for a key that is not on P-256 or no organization."""
    try:
        layout = authority_layout(certificate)
    except CertificateError:
        return None
    names = pyca.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    if not names:
        return None
    return _Issuer(der.write_tlv(der.SEQUENCE, layout.subject.of(certificate)), str(names[0].value), certificate)


def _candidates(
    chip: ChipSnapshot, issuer: _Issuer, form: tuple[bytes, CompressedCertificate], key: bytes, signer_key: bytes
) -> Iterator[tuple[StorageLayout, bytes]]:
    """Yield what the certificate may be: the one of esp-cryptoauth-utility, and that of the zero touch kit."""
    authority = x509.authority_key_id(key_id(signer_key))
    utility = (x509.key_usage(_ESP_USAGE), x509.basic_constraints(), authority)
    serial_name = x509.name((("O", issuer.organization), ("CN", chip.serial_number.hex().upper())))
    kit_name = x509.name((("O", issuer.organization), ("CN", "Example Device")))
    for end in _ends(form[1].issue_date):
        yield StorageLayout.ESP_UTILITY, _certificate(form, issuer, serial_name, key, utility, end)
    kit = (x509.subject_key_id(key_id(key)), authority)
    yield StorageLayout.ZERO_TOUCH, _certificate(form, issuer, kit_name, key, kit, _FAR_END)


def _ends(begin: datetime) -> Iterator[datetime]:
    yield _FAR_END
    for years in range(1, _MOST_YEARS + 1):
        try:
            yield begin.replace(year=begin.year + years)
        except ValueError:
            continue  # no 29 February in that year


def _certificate(
    form: tuple[bytes, CompressedCertificate],
    issuer: _Issuer,
    subject: bytes,
    key: bytes,
    extensions: tuple[bytes, ...],
    end: datetime,
) -> bytes:
    compressed, parsed = form
    fields = x509.CertificateFields(
        serial_number=hashed_serial(SerialSource.PUB_KEY_HASH, compressed, public_key=key),
        issuer=issuer.name,
        not_before=x509.date(parsed.issue_date),
        not_after=x509.date(end),
        subject=subject,
        public_key=key,
        extensions=extensions,
    )
    return fields.signed(parsed.signature)


def _sample_signer(chip: ChipSnapshot, key: bytes) -> bytes | None:
    """Return the signer certificate of the utility's samples, from its stored serial number and dates."""
    form, stored = compressed_form(chip, _SIGNER), chip.stored(_STORED, 0, _END_END)
    if form is None or stored is None or key_id(key) != _ESP_SIGNER_KEY_ID:
        return None
    begin, end = _stored_date(stored[:_BEGIN_END]), _stored_date(stored[:_END_END])
    if begin is None or end is None:
        return None
    extensions = (
        x509.authority_constraints(),
        x509.key_usage(_ESP_SIGNER_USAGE),
        x509.subject_key_id(key_id(key)),
        x509.authority_key_id(_ESP_ROOT_KEY_ID),
    )
    fields = x509.CertificateFields(
        serial_number=stored[:_SERIAL_END],
        issuer=x509.name(_ESP_ROOT),
        not_before=x509.date(begin),
        not_after=x509.date(end),
        subject=_PUBLISHED[0].name,
        public_key=key,
        extensions=extensions,
    )
    return fields.signed(form[1].signature)


def _stored_date(text: bytes) -> datetime | None:
    """Return the date that `text` ends with, as a UTCTime or GeneralizedTime."""
    for form in (DateFormat.RFC5280_GEN, DateFormat.RFC5280_UTC):
        try:
            return parse_date(text[-DATE_SIZES[form] :], form)
        except CertificateError:
            continue
    return None
