"""The certificate that is to be imported, and its issuers: sorted, and verified (RFC 5280, 6.1) as far as they go."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.certs.certificate_fields import (
    ISSUER,
    NOT_AFTER,
    NOT_BEFORE,
    SERIAL_NUMBER,
    SUBJECT,
    UNREADABLE_FIELD,
    certificate_fields,
    whole_name,
)
from atcaprov.certs.certificate_files import UNREADABLE
from atcaprov.certs.certified_key import certified_key
from atcaprov.errors import CertificateError, Code

_Value = TypeVar("_Value", bound=x509.ExtensionType)
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
    def is_verified(self) -> bool:
        """Whether the signature of the certificate was verified: its issuer is known, or it is self-signed."""
        loaded = x509.load_der_x509_certificate(self.certificate)
        return bool(self.issuers) or loaded.issuer == loaded.subject

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
    _require_positive_serial(_der(leaf))
    public_key = certified_key(leaf)
    issuers = _issuers(leaf, [one for one in loaded if one is not leaf])
    for one in (leaf, *issuers):
        _require_valid(one, at)
    return PresentedChain(_der(leaf), public_key, tuple(map(_der, issuers)))


def p256_key_of(certificate: bytes) -> bytes | None:
    """Return X||Y of the key in a certificate (DER); None if it is not a P-256 key."""
    return _p256_key(_load(certificate))


def _load(der: bytes) -> x509.Certificate:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of serial numbers: roots may have 0
            certificate = x509.load_der_x509_certificate(der)
            certificate.subject, certificate.issuer, certificate.extensions  # noqa: B018 - read when asked for only
    except UNREADABLE as error:
        raise CertificateError(
            f"A certificate cannot be read: {_unreadable_fields(der) or error}.", advice="Ask the CA for a correct one."
        ) from error
    return certificate


def _require_positive_serial(der: bytes) -> None:
    """Refuse a serial number that RFC 5280, 4.1.2.2 rules out, and that some clients do not read."""
    serial = next((field.text for field in certificate_fields(der) if field.name == SERIAL_NUMBER), "")
    digits = serial.split(" ", 1)[0]
    if digits and (digits[0] in "89ABCDEF" or not digits.strip("0")):
        raise CertificateError(
            f"serial number: expected a positive number, found {serial}.",
            advice="Ask the CA for a correct one.",
            code=Code.CERTIFICATE_MISMATCH,
        )


def _unreadable_fields(der: bytes) -> str:
    """Return the fields that cannot be read, with the reason; nothing if none is found."""
    fields = [field for field in certificate_fields(der) if field.text.startswith(UNREADABLE_FIELD)]
    return "; ".join(f"{field.name}: found {field.text}" for field in fields)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _p256_key(certificate: x509.Certificate) -> bytes | None:
    try:
        return certified_key(certificate)
    except CertificateError:
        return None


def _issuers(leaf: x509.Certificate, others: list[x509.Certificate]) -> list[x509.Certificate]:
    path, left = [leaf], list(others)
    while path[-1].issuer != path[-1].subject:
        named = [other for other in left if other.subject == path[-1].issuer]
        if not named:
            break
        issuer = _signing(path[-1], named)
        _require_key_id(path[-1], issuer)
        _require_authority(issuer, below=len(path) - 1)
        left.remove(issuer)
        path.append(issuer)
    if others and len(path) == 1 and leaf.issuer != leaf.subject:
        raise _no_issuer(leaf, others)
    if path[-1].issuer == path[-1].subject:
        _signing(path[-1], [path[-1]])
    return path[1:]


def _signing(certificate: x509.Certificate, named: Sequence[x509.Certificate]) -> x509.Certificate:
    for issuer in named:
        try:
            certificate.verify_directly_issued_by(issuer)
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
            continue
        return issuer
    raise _broken(certificate, *_why_not_signed(_der(certificate), named[0]))


def _why_not_signed(der: bytes, issuer: x509.Certificate) -> tuple[str, str]:
    """Return which field contradicts the issuer, and what to do: a name's strings, an algorithm, the signature."""
    expected, found = whole_name(_der(issuer), SUBJECT), whole_name(der, ISSUER)
    if expected != found:
        return f"issuer: expected {expected}, found {found}", "The CA must write its name as in its own certificate."
    text = {field.name: field.text for field in certificate_fields(der)}
    inner, outer = text["signature algorithm"], text.get("outer signature algorithm", "none")
    if inner != outer:
        return f"signature algorithm: expected {outer} as outside, found {inner}", "Ask the CA for a correct one."
    return (
        f"signature: expected one by the key of {_name(issuer)}, found another",
        "Give the certificate of the CA that signed it with --chain.",
    )


def _require_key_id(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """Refuse an authority key id that names another key: clients look for the issuer by it."""
    authority = _extension(certificate, x509.AuthorityKeyIdentifier)
    subject = _extension(issuer, x509.SubjectKeyIdentifier)
    if authority is None or authority.key_identifier is None or subject is None:
        return
    if authority.key_identifier != subject.digest:
        expected, found = (value.hex().upper() for value in (subject.digest, authority.key_identifier))
        raise _broken(
            certificate,
            f"extension authorityKeyIdentifier: expected key id {expected} of {_name(issuer)}, found {found}",
            "Clients would not find its issuer. Ask the CA.",
        )


def _require_authority(issuer: x509.Certificate, *, below: int) -> None:
    """Refuse an issuer that is not a CA, or may not have `below` CAs under it."""
    constraints = _extension(issuer, x509.BasicConstraints)
    usage = _extension(issuer, x509.KeyUsage)
    advice = "Clients would reject the chain. Ask the CA."
    if constraints is None or not constraints.ca:
        found = "none" if constraints is None else "CA:FALSE"
        raise _broken(issuer, f"extension basicConstraints: expected CA:TRUE, found {found}", advice)
    if usage is not None and not usage.key_cert_sign:
        raise _broken(issuer, "extension keyUsage: expected keyCertSign, found none", advice)
    if constraints.path_length is not None and constraints.path_length < below:
        found = f"pathlen:{constraints.path_length}"
        raise _broken(issuer, f"extension basicConstraints: expected pathlen:{below} or more, found {found}", advice)


def _extension(certificate: x509.Certificate, kind: type[_Value]) -> _Value | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _broken(certificate: x509.Certificate, what: str, advice: str) -> CertificateError:
    return CertificateError(
        f"The chain is broken at the certificate of {_name(certificate)}: {what}.",
        advice=advice,
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
