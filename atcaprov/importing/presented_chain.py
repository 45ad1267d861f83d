"""The certificate that is to be imported, and its issuers: sorted, and verified (RFC 5280, 6.1) as far as they go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.certificate_fields import NOT_AFTER, NOT_BEFORE
from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.keys import raw_public_key
from atcaprov.errors import CertificateError, Code

_DATE: Final = "%Y-%m-%d %H:%M:%S UTC"


@dataclass(frozen=True)
class PresentedChain:
    """A certificate for a P-256 key, and its issuers as far as they were given; all DER."""

    certificate: bytes
    public_key: bytes
    """X||Y, 64 bytes."""
    issuers: tuple[bytes, ...]
    """The direct issuer first. Each signature below them is verified."""

    @property
    def pem(self) -> bytes:
        """The certificate and its issuers in PEM, without a self-signed root, as TLS sends them."""
        loaded = [x509.load_der_x509_certificate(der) for der in (self.certificate, *self.issuers)]
        sent = [one for one in loaded if one.issuer != one.subject] or loaded[:1]
        return b"".join(one.public_bytes(Encoding.PEM) for one in sent)


def presented_chain(certificates: Sequence[bytes], keys: Collection[bytes], at: datetime) -> PresentedChain:
    """Return the chain of the one certificate (DER) that is for one of the chip's `keys` (X||Y), else of the first.

    Raises CertificateError: key-mismatch when it is not for a P-256 key, chain-incomplete when others were given but
    not its issuer, chain-invalid for a wrong signature or an issuer that is not a CA, clock-wrong when it is not valid
    at the moment `at`.
    """
    loaded = [_load(der) for der in dict.fromkeys(certificates)]
    mine = [one for one in loaded if _p256_key(one) in keys] or loaded
    leaf = mine[0]
    public_key = _required_key(leaf)
    issuers = _issuers(leaf, [one for one in loaded if one is not leaf])
    for one in (leaf, *issuers):
        _require_valid(one, at)
    return PresentedChain(_der(leaf), public_key, tuple(map(_der, issuers)))


def p256_key_of(certificate: bytes) -> bytes | None:
    """Return X||Y of the key in a certificate (DER); None if it is not a P-256 key."""
    return _p256_key(_load(certificate))


def _load(der: bytes) -> x509.Certificate:
    try:
        certificate = x509.load_der_x509_certificate(der)
        certificate.subject, certificate.issuer, certificate.extensions  # noqa: B018 - read when asked for only
    except UNREADABLE as error:
        raise CertificateError(
            f"A certificate cannot be read: {error}.", advice="Ask the CA for a correct one."
        ) from error
    return certificate


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _p256_key(certificate: x509.Certificate) -> bytes | None:
    try:
        return _required_key(certificate)
    except CertificateError:
        return None


def _required_key(certificate: x509.Certificate) -> bytes:
    try:
        key = certificate.public_key()
    except UNREADABLE as error:
        raise _wrong_key("something unreadable") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise _wrong_key(type(key).__name__.removeprefix("_").removesuffix("PublicKey"))
    if not isinstance(key.curve, ec.SECP256R1):
        raise _wrong_key(f"a key on the curve {key.curve.name}")
    return raw_public_key(key)


def _wrong_key(found: str) -> CertificateError:
    return CertificateError(
        f"key algorithm: expected a key on P-256, found {found}.",
        advice="The chip's keys are on P-256: have its own key certified, with 'atcaprov request'.",
        code=Code.KEY_MISMATCH,
    )


def _issuers(leaf: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    path, left = [leaf], list(others)
    while path[-1].issuer != path[-1].subject:
        named = [other for other in left if other.subject == path[-1].issuer]
        if not named:
            break
        issuer = _signing(path[-1], named)
        _require_authority(issuer)
        left.remove(issuer)
        path.append(issuer)
    if others and len(path) == 1 and leaf.issuer != leaf.subject:
        raise _no_issuer(leaf, others)
    return path[1:]


def _signing(certificate: x509.Certificate, named: Sequence[x509.Certificate]) -> x509.Certificate:
    for issuer in named:
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
            continue
        return issuer
    raise CertificateError(
        f"signature: expected one by the key of {_name(named[0])}, found another. "
        f"It is that of the certificate of {_name(certificate)}.",
        advice="Give the certificate of the CA that signed it with --chain.",
        code=Code.CHAIN_INVALID,
    )


def _require_authority(issuer: x509.Certificate) -> None:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        constraints = None
    if constraints is None or not constraints.ca:
        raise CertificateError(
            f"The certificate of {_name(issuer)} is not that of a CA: basicConstraints: expected CA:TRUE, found "
            f"{'none' if constraints is None else 'CA:FALSE'}.",
            advice="Clients would reject the chain. Ask the CA.",
            code=Code.CHAIN_INVALID,
        )


def _no_issuer(leaf: x509.Certificate, others: Sequence[x509.Certificate]) -> CertificateError:
    there = ", ".join(_name(other) for other in others)
    return CertificateError(
        f"issuer: expected one of the certificates given ({there}), found {leaf.issuer.rfc4514_string()}.",
        advice="Give the certificate of that issuer with --chain.",
        code=Code.CHAIN_INCOMPLETE,
    )


def _require_valid(certificate: x509.Certificate, at: datetime) -> None:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if begin <= at <= end:
        return
    field, rule, date = (NOT_BEFORE, "no later than", begin) if at < begin else (NOT_AFTER, "after", end)
    raise CertificateError(
        f"The certificate of {_name(certificate)} is not valid now: {field}: expected {rule} {at:{_DATE}}, "
        f"found {date:{_DATE}}.",
        advice="Check this computer's clock; if it is right, ask the CA for a new certificate.",
        code=Code.CLOCK_WRONG,
    )


def _name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string() or "a subject without name"
