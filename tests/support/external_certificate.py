"""The certificate that an external CA makes of a request; here the CA is a root on files, and no program runs."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.dates import issue_hour
from atcaprov.certs.keys import key_id
from signer_module.on_chip.creation.external_ca import ExternalRequest
from signer_module.on_files.root_folder import RootFolder


def certified(ca: RootFolder, request: ExternalRequest) -> bytes:
    """Return the certificate (DER) for a request; the CA's key has no password."""
    asked = x509.load_der_x509_csr(request.der)
    assert asked.is_signature_valid
    builder = x509.CertificateBuilder(
        issuer_name=ca.subject,
        subject_name=asked.subject,
        public_key=asked.public_key(),
        serial_number=0x44556677889900112233,
        not_valid_before=issue_hour(datetime.now(UTC), 0),
        not_valid_after=datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    )
    for extension in asked.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier(key_id(ca.public_key), None, None), critical=False)
    return builder.sign(ca.unlock(None).cryptography_key, hashes.SHA256()).public_bytes(Encoding.DER)
