"""What the certificate of a CA lets the certificates under it do, as those see it who verify them one day."""

from __future__ import annotations

from collections.abc import Collection

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from atcaprov.certs.description import CertificateDescription
from atcaprov.errors import CertificateError, Code


def usages_allowed(allowed: Collection[x509.ObjectIdentifier], device: CertificateDescription) -> bool:
    """Tell whether a CA with these extended key usages may stand above devices of a description."""
    wanted = set(device.extensions.extended_usage_ids)
    return ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in allowed or wanted <= set(allowed)


def require_usages(authority: x509.Certificate, device: CertificateDescription) -> None:
    """Raise CertificateError (chain-invalid) when the extended key usage of a CA rules out that of devices under it.

    RFC 5280 leaves open what it means in a CA's certificate; OpenSSL and others refuse the chain.
    """
    try:
        allowed = authority.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usages_allowed(list(allowed), device):
        raise CertificateError(
            f"The extended key usage of the CA {authority.subject.rfc4514_string()} does not hold that of the devices: "
            "their certificates would fail.",
            advice="Take a CA without extended key usage, or with all of the device's.",
            code=Code.CHAIN_INVALID,
        )
