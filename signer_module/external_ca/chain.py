"""The chain that an external CA returns: signer certificate, its issuer, and the CAs above up to the root.

The issuer must be on P-256, since the compressed format holds ECDSA signatures of P-256 only; chips, definitions and
clients pin its key. The CAs above may be of any kind that `cryptography` verifies. Checked as RFC 5280, 6.1 has it,
without policies and name constraints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.chain import verify_issuer, verify_under_root
from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.errors import CertificateError, Code
from signer_module.signer_description import require_usages

_Value = TypeVar("_Value", bound=x509.ExtensionType)
_UNDERSTOOD: Final = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.CertificatePolicies)


@dataclass(frozen=True)
class ExternalChain:
    """A checked chain; certificates as DER."""

    signer: bytes
    issuer: bytes
    """The CA that issued the signer certificate; its key is the one that is pinned."""
    above: tuple[bytes, ...]
    """The issuer's issuer first, the self-signed root last; empty if the issuer is the root."""

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """All CA certificates, the issuer first."""
        return (self.issuer, *self.above)

    @classmethod
    def of(cls, certificates: Iterable[bytes], at: datetime) -> Self:
        """Sort certificates (DER) into the order of the chain, and check them for the moment `at`.

        Raises CertificateError: chain-incomplete when one is missing, chain-surplus when one does not belong to it,
        chain-invalid for everything else.
        """
        loaded = [_load(der) for der in dict.fromkeys(certificates)]
        path = _path(loaded, _lowest(loaded))
        for number, certificate in enumerate(path):
            _check_valid(certificate, at)
            if number:
                _check_key_ids(path[number - 1], certificate)
                _check_authority(certificate, below=number)
        signer, issuer, *above = (certificate.public_bytes(Encoding.DER) for certificate in path)
        _check_issuer(path[1], issuer)
        verify_under_root(signer, issuer)
        return cls(signer, issuer, tuple(above))

    def require_usages(self, device: CertificateDescription) -> None:
        """Raise CertificateError (chain-invalid) when a CA's extended key usage rules out that of the devices."""
        require_all_usages(self.authorities, device)


def authorities_of(certificates: Iterable[bytes], at: datetime) -> tuple[bytes, ...]:
    """Return the certificates of a CA (DER, in any order) from the one that will issue a signer to the root.

    They are checked as in a whole chain, before there is a certificate of the signer. Raises as `ExternalChain.of`.
    """
    loaded = [_load(der) for der in dict.fromkeys(certificates)]
    roots = all(certificate.issuer == certificate.subject for certificate in loaded)
    path = _path(loaded, loaded[0] if loaded and roots else _lowest(loaded))
    for number, certificate in enumerate(path):
        _check_valid(certificate, at)
        if number:
            _check_key_ids(path[number - 1], certificate)
        _check_authority(certificate, below=number + 1)
    found = tuple(certificate.public_bytes(Encoding.DER) for certificate in path)
    _check_issuer(path[0], found[0])
    return found


def require_all_usages(authorities: Iterable[bytes], device: CertificateDescription) -> None:
    """Raise CertificateError (chain-invalid) when the extended key usage of a CA (DER) rules out that of devices."""
    for der in authorities:
        require_usages(x509.load_der_x509_certificate(der), device)


def _load(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.subject, certificate.issuer, certificate.extensions  # noqa: B018 - read when asked for only
    except UNREADABLE as error:
        raise _invalid("One of the certificates cannot be read") from error
    return certificate


def _path(certificates: Sequence[x509.Certificate], lowest: x509.Certificate) -> list[x509.Certificate]:
    """Return the certificates from the lowest to the root; each must belong to the chain."""
    path = [lowest]
    left = [certificate for certificate in certificates if certificate is not path[0]]
    while path[-1].issuer != path[-1].subject:
        issuer = _issuer(path[-1], left)
        left.remove(issuer)
        path.append(issuer)
    if left:
        raise _surplus(f"The certificate of {_name(left[0])} is not part of the signer's chain")
    if not _issued(path[-1], path[-1]):
        raise _invalid(f"The root {_name(path[-1])} is not signed by its own key")
    return path


def _lowest(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """Return the certificate that is not a root and issued none of the others."""
    issued = [certificate for certificate in certificates if certificate.issuer != certificate.subject]
    issuers = {certificate.issuer for certificate in issued}
    found = [certificate for certificate in issued if certificate.subject not in issuers]
    if not found:
        raise _incomplete("The signer's certificate is missing")
    if len(found) > 1:
        names = ", ".join(_name(certificate) for certificate in found)
        raise _surplus(f"These certificates are not in one chain: {names}")
    return found[0]


def _issuer(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> x509.Certificate:
    named = [other for other in others if other.subject == certificate.issuer]
    if not named:
        issuer = certificate.issuer.rfc4514_string()
        raise _incomplete(f"The certificate of {issuer}, which issued {_name(certificate)}, is missing")
    found = [other for other in named if _issued(other, certificate)]
    if not found:
        raise _invalid(f"The certificate of {_name(certificate)} is not signed by the key of {_name(named[0])}")
    if len(found) > 1:
        raise _surplus(f"There are {len(found)} certificates of {_name(found[0])}; give one")
    return found[0]


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _check_valid(certificate: x509.Certificate, at: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= at <= end:
        raise _invalid(
            f"The certificate of {_name(certificate)} is valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC,"
            f" not at {at:%Y-%m-%d %H:%M}"
        )


def _check_key_ids(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    authority = _extension(certificate, x509.AuthorityKeyIdentifier)
    subject = _extension(issuer, x509.SubjectKeyIdentifier)
    if authority is None:
        return
    ids = {authority.key_identifier, subject.digest if subject else None} - {None}
    names = f"{_name(certificate)} does not name the certificate of {_name(issuer)}"
    if subject is not None and len(ids) > 1:
        expected, found = (_hex(one) for one in (subject.digest, authority.key_identifier))
        raise _invalid(f"The authority key id of {names}: expected key id {expected}, found {found}")
    number = authority.authority_cert_serial_number
    if number not in (None, issuer.serial_number):
        raise _invalid(
            f"The authority key id of {names}: expected serial number {issuer.serial_number:X}, found {number:X}"
        )


def _check_authority(certificate: x509.Certificate, *, below: int) -> None:
    """Check that it may issue CAs with `below` CAs under it, of which the signer is one."""
    name = _name(certificate)
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    if constraints is None or not constraints.ca:
        found = "none" if constraints is None else "CA:FALSE"
        raise _invalid(f"{name} is not a CA: extension basicConstraints: expected CA:TRUE, found {found}")
    if usage is not None and not usage.key_cert_sign:
        raise _invalid(f"{name} is not a CA: extension keyUsage: expected keyCertSign, found other usages only")
    if constraints.path_length is not None and constraints.path_length < below:
        raise _invalid(
            f"{name} allows {constraints.path_length} CAs below it, but there are {below}, including the signer"
        )
    for extension in certificate.extensions:
        unknown = extension.critical and not isinstance(extension.value, _UNDERSTOOD)
        if unknown or isinstance(extension.value, x509.NameConstraints):
            raise _invalid(f"The certificate of {name} has an extension that cannot be checked: {extension.oid._name}")


def _check_issuer(certificate: x509.Certificate, issuer: bytes) -> None:
    try:
        verify_issuer(issuer)
    except CertificateError as error:
        raise CertificateError(
            f"{_name(certificate)} cannot issue signers: {error.what}",
            advice="The signer's own issuer must be a CA on P-256; the CAs above it may be of other kinds.",
            code=error.code,
        ) from error


def _hex(key_id: bytes | None) -> str:
    return "none" if key_id is None else key_id.hex().upper()


def _extension(certificate: x509.Certificate, kind: type[_Value]) -> _Value | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "a CA without name"


def _invalid(what: str) -> CertificateError:
    return CertificateError(f"{what}.", advice="Ask the CA for a correct one.", code=Code.CHAIN_INVALID)


def _incomplete(what: str) -> CertificateError:
    return CertificateError(f"{what}.", advice="Add it with --chain.", code=Code.CHAIN_INCOMPLETE)


def _surplus(what: str) -> CertificateError:
    return CertificateError(f"{what}.", advice="Leave it out.", code=Code.CHAIN_SURPLUS)
