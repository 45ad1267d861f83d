"""A company's CA that certifies keys which chips made: root, signer and devices with the default names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.dates import issue_hour
from atcaprov.certs.descriptions.description import default_description
from atcaprov.certs.issue import issue
from atcaprov.certs.keys import key_id, load_public_key
from tests.support.certificates import ROOT, SIGNER, SIGNER_ID, default_definitions

NOW: Final = datetime.now(UTC)
HOUR: Final = issue_hour(NOW, 0)
SIGNER_DEFINITION, DEVICE_DEFINITION = default_definitions(NOW)


def _root() -> bytes:
    name = default_description("root").subject_name()
    builder = x509.CertificateBuilder(name, name, ROOT.private.public_key(), 1, HOUR, HOUR + timedelta(days=3650))
    extensions = default_description("root").extensions
    builder = extensions.add(builder, key_id=key_id(ROOT.public), issuer_key_id=key_id(ROOT.public))
    return builder.sign(ROOT.private, hashes.SHA256()).public_bytes(Encoding.DER)


ROOT_CERTIFICATE: Final = _root()
SIGNER_ISSUED: Final = issue(
    SIGNER_DEFINITION,
    subject_public_key=SIGNER.public,
    ca_public_key=ROOT.public,
    signer_id=SIGNER_ID,
    issue_date=HOUR,
    sign=ROOT.sign,
)
ISSUERS: Final = (SIGNER_ISSUED.der, ROOT_CERTIFICATE)


def fitting(public_key: bytes, chip_serial: bytes) -> bytes:
    """Return a device certificate (DER) that has a compressed form under the default definition."""
    return issue(
        DEVICE_DEFINITION,
        subject_public_key=public_key,
        ca_public_key=SIGNER.public,
        signer_id=SIGNER_ID,
        issue_date=HOUR,
        chip_serial=chip_serial,
        sign=SIGNER.sign,
    ).der


def plain(
    public_key: bytes,
    name: str = "thing-1",
    *,
    begin: datetime = NOW - timedelta(minutes=30),
    end: datetime = NOW + timedelta(days=365),
    issuer: x509.Name | None = None,
    padding: int = 0,
) -> bytes:
    """Return a certificate as other CAs make it: no extensions, minutes, any serial number; `padding` makes it long."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    by = issuer or x509.load_der_x509_certificate(SIGNER_ISSUED.der).subject
    builder = x509.CertificateBuilder(by, subject, load_public_key(public_key), 0x1234, begin, end)
    if padding:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(padding)), critical=False
        )
    return builder.sign(SIGNER.private, hashes.SHA256()).public_bytes(Encoding.DER)
