"""Compress a certificate that was made elsewhere, if it has a compressed form.

The vendor's compressor drops what does not fit (minutes, odd expiry dates) without an error; here the certificate is
rebuilt from the result, and every difference is an error.
"""

from __future__ import annotations

from datetime import datetime

from atcaprov.certs import dates
from atcaprov.certs.compressed_form import CompressedCertificate
from atcaprov.certs.definitions.definition import CertificateDefinition, StdElement
from atcaprov.certs.field_comparison import explain_differences
from atcaprov.certs.keys import signature_of
from atcaprov.certs.rebuild import StoredData, rebuild
from atcaprov.certs.structure_comparison import explain_structure
from atcaprov.certs.x509_layout import certificate_layout
from atcaprov.errors import CertificateError, Code


def compress(
    definition: CertificateDefinition,
    certificate: bytes,
    *,
    ca_public_key: bytes,
    chip_serial: bytes | None = None,
    stored: StoredData | None = None,
) -> bytes:
    """Return the compressed form (72 bytes) of a certificate (DER) that the definition describes.

    Raises CertificateError (certificate-mismatch) that names each difference, expected and found, when the certificate
    cannot be rebuilt from 72 bytes: its structure differs from the template, a date has minutes, its validity is not a
    whole number of years, or its serial number is another.
    """
    built_differently = explain_structure(definition.cert_template, certificate)
    if built_differently:
        raise _mismatch(definition, "; ".join(built_differently))
    layout = certificate_layout(certificate)
    issue_date = _date(definition, certificate, StdElement.ISSUE_DATE)
    expire_years = _expire_years(definition, certificate, issue_date)
    compressed = CompressedCertificate(
        signature=signature_of(layout.signature.of(certificate)),
        issue_date=issue_date,
        expire_years=expire_years,
        signer_id=_signer_id(definition, certificate),
        template_id=definition.template_id,
        chain_id=definition.chain_id,
        sn_source=definition.sn_source,
        format_version=dates.format_version_for(issue_date.year, expire_years),
    ).pack()
    again = rebuild(
        definition,
        compressed=compressed,
        public_key=layout.public_key.of(certificate),
        ca_public_key=ca_public_key,
        chip_serial=chip_serial,
        stored=stored,
    )
    differences = explain_differences(definition, again, certificate)
    if differences:
        raise _mismatch(definition, "; ".join(str(difference).rstrip(".") for difference in differences))
    return compressed


def _date(definition: CertificateDefinition, certificate: bytes, element: StdElement) -> datetime:
    is_issue = element is StdElement.ISSUE_DATE
    date_format = definition.issue_date_format if is_issue else definition.expire_date_format
    return dates.parse_date(_bytes(definition, certificate, element), date_format)


def _expire_years(definition: CertificateDefinition, certificate: bytes, issue_date: datetime) -> int:
    if not definition.element(StdElement.EXPIRE_DATE).count:
        return definition.expire_years
    expire = _date(definition, certificate, StdElement.EXPIRE_DATE)
    if expire == dates.NO_EXPIRY[definition.expire_date_format]:
        return 0
    years = expire.year - issue_date.year
    if (
        not 1 <= years <= dates.MAX_EXPIRE_YEARS[1]
        or dates.expire_date(issue_date, years, definition.expire_date_format) != expire
    ):
        raise _mismatch(definition, f"its validity ({issue_date} to {expire}) is not a whole number of years up to 127")
    return years


def _signer_id(definition: CertificateDefinition, certificate: bytes) -> bytes:
    if not definition.element(StdElement.SIGNER_ID).count:
        return bytes(2)
    text = _bytes(definition, certificate, StdElement.SIGNER_ID)
    try:
        return bytes.fromhex(text.decode("ascii"))
    except ValueError:
        raise _mismatch(definition, "its signer id is not four hexadecimal digits") from None


def _bytes(definition: CertificateDefinition, certificate: bytes, element: StdElement) -> bytes:
    location = definition.element(element)
    return certificate[location.offset : location.end]


def _mismatch(definition: CertificateDefinition, why: str) -> CertificateError:
    return CertificateError(
        f"The certificate has no compressed form under the definition {definition.name}: {why}.",
        code=Code.CERTIFICATE_MISMATCH,
    )
