"""What people read before they agree, and afterwards: what each certificate allows, and who was there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509

from atcaprov.certs.definitions.definition import CertificateDefinition
from atcaprov.certs.descriptions.description import CertificateDescription
from signer_module.ceremony.bundle import Bundle, digest_words, time_text
from signer_module.ceremony.signed_bundle import SignedBundle
from signer_module.expiry_warnings import end_from, end_of


def bundle_lines(bundle: Bundle) -> Iterator[str]:
    """Yield what a bundle asks for."""
    yield f"Made {time_text(bundle.made)}. To be signed: {len(bundle.requests)}."
    for request in bundle.requests:
        subject = x509.load_der_x509_csr(request.der).subject.rfc4514_string()
        yield f"  {request.signer_id.hex().upper()}  {subject}"
        yield f"        key id {request.key_id.upper()}, on P-256, its request is signed by the key itself"
    yield from _rights("Each of them", bundle.descriptions.signer)
    yield from _rights("The devices below", bundle.descriptions.device)
    yield "SHA-256 of the bundle:"
    yield from _digest_lines(bundle.digest)


def signing_lines(bundle: Bundle, definition: CertificateDefinition, now: datetime) -> Iterator[str]:
    """Yield what is going to be signed, with its dates."""
    yield from bundle_lines(bundle)
    begin, end = definition.issue_date(now), end_from(definition, now)
    yield f"Valid from {begin:%Y-%m-%d %H:%M} UTC to {end:%Y-%m-%d %H:%M} UTC."
    yield "How many certificates a signer may issue does not stand in its certificate: its module's quota limits it."


def signed_lines(signed: SignedBundle) -> Iterator[str]:
    """Yield what a root has signed, and the record."""
    root = x509.load_der_x509_certificate(signed.root)
    record = signed.record
    yield f"Signed by {root.subject.rfc4514_string()}, key id {record.root_key_id.upper()}."
    for request, der in zip(signed.bundle.requests, signed.certificates, strict=True):
        certificate = x509.load_der_x509_certificate(der)
        begin, end = certificate.not_valid_before_utc, end_of(der)
        yield f"  {request.signer_id.hex().upper()}  {certificate.subject.rfc4514_string()}"
        yield f"        serial {certificate.serial_number:X}, {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
    yield f"Time: {time_text(record.time)}, by the clock of the root's computer. Place: {record.place}."
    if record.clock_reason:
        yield f"That clock was accepted: {record.clock_reason}."
    yield f"Reason: {record.reason}. Present: {', '.join(record.witnesses)}."
    yield "SHA-256 of the bundle:"
    yield from _digest_lines(signed.bundle.digest)


def _rights(who: str, description: CertificateDescription) -> Iterator[str]:
    extensions = description.extensions
    usages = ", ".join(extensions.key_usage)
    extended = ", ".join(extensions.extended_key_usage)
    authority = f"a CA with path length {extensions.path_length}" if description.role == "signer" else "no CA"
    years = f"{description.expire_years} years" if description.expire_years else "without end"
    yield f"{who}: {authority}; key usage: {usages or 'not limited'}{f'; for {extended}' if extended else ''}; {years}."


def _digest_lines(digest: bytes) -> Iterator[str]:
    words = digest_words(digest).split()
    for place in range(0, len(words), 8):
        yield "  " + " ".join(words[place : place + 8])
