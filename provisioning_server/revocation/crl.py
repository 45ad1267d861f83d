"""The list of revoked certificates of one signer (RFC 5280, 5): built here, signed by its key wherever that is.

`cryptography` writes the list with a key that everybody knows, and the signature is put in its place. So the signer
needs only sign a digest, as for certificates. No I/O.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.der import BIT_STRING, SEQUENCE, write_tlv
from atcaprov.certs.keys import der_signature, key_id, verify_digest
from atcaprov.errors import CertificateError, Code, UsageError
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.revocation.reasons import Reason

_ECDSA_WITH_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")
"""AlgorithmIdentifier (RFC 5758, 3.2)."""


@dataclass(frozen=True, slots=True)
class RevokedCertificate:
    """An entry: the serial number of a certificate as its content bytes, when it was revoked (UTC), and why."""

    serial: bytes
    time: datetime
    reason: Reason


@dataclass(frozen=True, slots=True)
class CrlIssuer:
    """What a CRL says of its signer: the signer's certificate (DER), its key (64 bytes), and where the list is."""

    certificate: bytes
    public_key: bytes
    uris: tuple[str, ...] = ()

    @classmethod
    def of(cls, documents: SignerDocuments) -> Self:
        """Return the issuer for a signer; raises UsageError CRL_SIGN_MISSING when its certificate allows no CRLs."""
        require_crl_sign(documents.signer_certificate)
        template = documents.device.cert_template
        return cls(documents.signer_certificate, documents.signer_public_key, distribution_uris(template))


def require_crl_sign(certificate: bytes) -> None:
    """Raise UsageError CRL_SIGN_MISSING unless a signer's certificate (DER) lets its key sign CRLs (RFC 5280, 4.2.1.3).

    Verifiers ignore a list whose issuer has a key usage without cRLSign.
    """
    extensions = x509.load_der_x509_certificate(certificate).extensions
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.crl_sign:
        raise UsageError(
            "The signer's certificate does not let its key sign lists of revoked certificates (cRLSign is missing).",
            advice='Make the next signer with "crl_sign" in key_usage of its certificate description. Until then, give'
            " verifiers the revoked serial numbers by other means.",
            code=Code.CRL_SIGN_MISSING,
        )


def distribution_uris(certificate: bytes) -> tuple[str, ...]:
    """Return the URIs at which a certificate (DER) or a template of one says that its CRL is."""
    try:
        extensions = x509.load_der_x509_certificate(certificate).extensions
        points = extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, *UNREADABLE):
        return ()
    names = [name for point in points for name in point.full_name or ()]
    return tuple(str(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier))


class PendingCrl:
    """A CRL that lacks only its signature. The same arguments always give the same bytes.

    `number` is at most 20 bytes and higher than that of each earlier list of the signer.
    """

    def __init__(
        self,
        issuer: CrlIssuer,
        revoked: Sequence[RevokedCertificate],
        *,
        number: int,
        this_update: datetime,
        next_update: datetime,
    ) -> None:
        self._public_key = issuer.public_key
        certificate = x509.load_der_x509_certificate(issuer.certificate)
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=certificate.subject,
            last_update=_plain(this_update),
            next_update=_plain(next_update),
            revoked_certificates=[_entry(each) for each in revoked],
        )
        builder = builder.add_extension(_authority(certificate, issuer.public_key), critical=False)
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        builder = builder.add_extension(_scope(issuer.uris), critical=True)
        # The private key 1, as in templates of certificates: what it signs is thrown away.
        everybodys = ec.derive_private_key(1, ec.SECP256R1())
        self.unsigned: bytes = builder.sign(everybodys, hashes.SHA256()).tbs_certlist_bytes
        """The DER TBSCertList."""

    @property
    def digest(self) -> bytes:
        """Return what the signer signs: SHA-256, 32 bytes."""
        return hashlib.sha256(self.unsigned).digest()

    def finish(self, signature: bytes) -> bytes:
        """Return the CRL (DER) with R||S (64 bytes); raises CertificateError when it does not verify."""
        if not verify_digest(self._public_key, self.digest, signature):
            raise CertificateError("The signer's signature of the CRL does not verify.", code=Code.KEY_MISMATCH)
        return signed_crl(self.unsigned, signature)


def signed_crl(unsigned: bytes, signature: bytes) -> bytes:
    """Return a CRL (DER) of its TBSCertList and R||S (64 bytes)."""
    return write_tlv(SEQUENCE, unsigned, _ECDSA_WITH_SHA256, write_tlv(BIT_STRING, b"\x00" + der_signature(signature)))


def crl_pem(crl: bytes) -> bytes:
    """Return a CRL (DER) as PEM."""
    return x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM)


def _plain(moment: datetime) -> datetime:
    """Return a time without fractions of a second, which X.509 does not have."""
    return moment.replace(microsecond=0)


def _entry(revoked: RevokedCertificate) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder(int.from_bytes(revoked.serial, "big"), _plain(revoked.time))
    if revoked.reason.flag is not None:
        builder = builder.add_extension(x509.CRLReason(revoked.reason.flag), critical=False)
    return builder.build()


def _authority(certificate: x509.Certificate, public_key: bytes) -> x509.AuthorityKeyIdentifier:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier(key_id(public_key), None, None)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _scope(uris: Sequence[str]) -> x509.IssuingDistributionPoint:
    """Return what the list covers: certificates of devices, at the address that they name if they name one."""
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(uri) for uri in uris] or None,
        relative_name=None,
        only_contains_user_certs=True,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
