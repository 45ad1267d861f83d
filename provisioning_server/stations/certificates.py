"""The certificates of a station CA: its own, those of servers and of stations. All keys are on P-256.

The CA signs nothing else: no signer, no product, no further CA (path length 0). A server's certificate is for TLS
servers, a station's for TLS clients only (RFC 5280, section 4.2.1.12), so that neither can stand for the other.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_DAYS: Final = 20 * 365
SERVER_DAYS: Final = 365
STATION_DAYS: Final = 365
_BEFORE: Final = timedelta(days=1)
"""A certificate begins so long before it is made: the clock of the other side may be behind."""
_CA_NAME: Final = "Provisioning Server station CA"
_SERVER_NAME: Final = "Provisioning Server"


def ca_certificate(key: ec.EllipticCurvePrivateKey, now: datetime) -> bytes:
    """Return the certificate (DER) of a station CA, signed by itself; its name holds a part of its key id."""
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]
    name = _name(f"{_CA_NAME} {key_id}")
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    builder = _builder(name, name, key.public_key(), key, now, CA_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.add_extension(usage, critical=True).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def station_certificate(
    ca: x509.Certificate, ca_key: ec.EllipticCurvePrivateKey, name: str, key: ec.EllipticCurvePublicKey, now: datetime
) -> bytes:
    """Return the certificate (DER) of a station; its common name is the station's."""
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH
    return _issued(_builder(ca.subject, _name(name), key, ca_key, now, STATION_DAYS), ca_key, purpose)


def server_certificate(
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    key: ec.EllipticCurvePublicKey,
    now: datetime,
) -> bytes:
    """Return the certificate (DER) of a server for host names and addresses."""
    builder = _builder(ca.subject, _name(_SERVER_NAME), key, ca_key, now, SERVER_DAYS)
    builder = builder.add_extension(x509.SubjectAlternativeName([*map(_general_name, names)]), critical=False)
    return _issued(builder, ca_key, ExtendedKeyUsageOID.SERVER_AUTH)


def server_names(certificate: x509.Certificate) -> list[str]:
    """Return the host names and addresses of a server's certificate."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    ca_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    begins = now.replace(microsecond=0) - _BEFORE
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + _BEFORE + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(authority, critical=False)
    )


def _issued(
    builder: x509.CertificateBuilder, ca_key: ec.EllipticCurvePrivateKey, purpose: x509.ObjectIdentifier
) -> bytes:
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(usage, critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return builder.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.DER)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
