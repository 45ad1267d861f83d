"""Compress a certificate that was made elsewhere, if it has a compressed form.

The vendor's compressor drops what does not fit (minutes, odd expiry dates) without an error; here the certificate is
compared field by field with what the definition expects, and rebuilt from the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from atcaprov.certs.certificate_fields import NOT_AFTER, NOT_BEFORE, PUBLIC_KEY, SERIAL_NUMBER, SIGNATURE
from atcaprov.certs.definitions.definition import CertificateDefinition, SerialSource
from atcaprov.certs.expected_certificate import ExpectedCertificate, expected_certificate
from atcaprov.certs.field_comparison import FieldDifference, counted, explain_differences, listed
from atcaprov.certs.rebuild import StoredData, rebuild
from atcaprov.certs.serial_number import HASHES, NEEDS_CHIP_SERIAL, PUBLIC_KEY_HASHES
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import CertificateError, Code


class NoCompressedFormError(CertificateError):
    """A certificate is not as its definition has it: `differences` are its fields; none where another rule is broken.

    `what` names them all; `summary` counts them instead.
    """

    def __init__(self, definition: str, why: str, differences: Sequence[FieldDifference] = ()) -> None:
        begin = f"The certificate has no compressed form under the definition {definition}"
        super().__init__(f"{begin}: {why or listed(differences)}.", code=Code.CERTIFICATE_MISMATCH)
        self.differences = tuple(differences)
        self.summary = f"{begin}: {counted(differences)}." if differences else self.what


def compress(
    definition: CertificateDefinition,
    certificate: bytes,
    *,
    ca_public_key: bytes,
    public_key: bytes | None = None,
    chip_serial: bytes | None = None,
    stored: StoredData | None = None,
) -> bytes:
    """Return the compressed form (72 bytes) of a certificate (DER) that the definition describes.

    Keys are X||Y (64 bytes); without `public_key` the certificate may be for any key. Raises CertificateError
    (certificate-mismatch) that names each field that is not as the definition has it, expected and found, when the
    certificate cannot be rebuilt from 72 bytes.
    """
    expected = _expected(definition, certificate, ca_public_key, public_key, chip_serial, stored)
    if differences := _differences(definition, expected, certificate):
        raise NoCompressedFormError(definition.name, "", differences)
    compressed = expected.compressed.pack()
    again = rebuild(
        definition,
        compressed=compressed,
        public_key=certificate_layout(certificate).public_key.of(certificate),
        ca_public_key=ca_public_key,
        chip_serial=chip_serial,
        stored=with_own_serial(definition, certificate, stored),
    )
    if again != certificate:
        raise NoCompressedFormError(definition.name, "", explain_differences(definition, again, certificate))
    return compressed


def differences_from(
    definition: CertificateDefinition,
    certificate: bytes,
    *,
    ca_public_key: bytes,
    public_key: bytes | None = None,
    chip_serial: bytes | None = None,
    stored: StoredData | None = None,
) -> list[FieldDifference]:
    """Return each field of a certificate (DER) that is not as the definition has it; arguments as of `compress`."""
    expected = _expected(definition, certificate, ca_public_key, public_key, chip_serial, stored)
    return _differences(definition, expected, certificate)


def _expected(
    definition: CertificateDefinition,
    certificate: bytes,
    ca_public_key: bytes,
    public_key: bytes | None,
    chip_serial: bytes | None,
    stored: StoredData | None,
) -> ExpectedCertificate:
    try:
        return expected_certificate(
            definition,
            certificate,
            ca_public_key=ca_public_key,
            public_key=public_key,
            chip_serial=chip_serial,
            stored=stored,
        )
    except CertificateError as error:
        why = f"{error.what[0].lower()}{error.what[1:].rstrip('.')}"
        raise NoCompressedFormError(definition.name, why) from error


def _differences(
    definition: CertificateDefinition, expected: ExpectedCertificate, certificate: bytes
) -> list[FieldDifference]:
    differences = explain_differences(definition, expected.certificate, certificate)
    return [replace(difference, cause=_rule(definition, difference)) for difference in differences]


def with_own_serial(
    definition: CertificateDefinition, certificate: bytes, stored: StoredData | None
) -> StoredData | None:
    """Return `stored` with the certificate's serial number, if the definition wants it on the chip."""
    location = definition.cert_sn_dev_loc
    if definition.sn_source is not SerialSource.STORED or not location.present or location in (stored or {}):
        return stored
    return {**(stored or {}), location: certificate_layout(certificate).serial_number.of(certificate)}


def _rule(definition: CertificateDefinition, difference: FieldDifference) -> str:
    """Return the rule that a field breaks which the definition leaves open; the causes of two issues do not hold."""
    match difference.field:
        case name if name == NOT_BEFORE:
            return "It must be on the full hour, in a year from 2000 on that the compressed form holds."
        case name if name == NOT_AFTER:
            return "It must be a whole number of years after notBefore, 127 at most, or the last date of its form."
        case name if name == SERIAL_NUMBER:
            return (
                f"It must be made from {_serial_parts(definition.sn_source)}, as {definition.sn_source.name} demands."
            )
        case name if name == SIGNATURE:
            return "It must be an ECDSA signature of P-256 in DER."
        case name if name == PUBLIC_KEY:
            return "The certificate is for another key."
        case _:
            return _name_rule(difference)


def _serial_parts(source: SerialSource) -> str:
    if source is SerialSource.STORED:
        return "what the definition or the chip holds"
    first = {source in PUBLIC_KEY_HASHES: "the public key", source in NEEDS_CHIP_SERIAL: "the chip's serial number"}
    return first.get(True, "the signer id") + (" and notBefore" if source in HASHES else "")


def _name_rule(difference: FieldDifference) -> str:
    if "XXXX" in difference.expected:
        return "The four hexadecimal digits of the signer id must stand where XXXX is."
    return ""
