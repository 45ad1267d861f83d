"""What a signer's next list says: which certificates, under which number, at which address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from atcaprov.certs.dates import NO_EXPIRY, DateFormat
from provisioning_server.ledger.administration import CrlIssued, Revoked
from provisioning_server.ledger.changes import Issued
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.store import Ledger
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.revocation.crl import CrlIssuer, PendingCrl, RevokedCertificate, distribution_uris
from provisioning_server.revocation.reasons import Reason

_NEVER = NO_EXPIRY[DateFormat.RFC5280_GEN]


@dataclass(frozen=True, slots=True)
class NextCrl:
    """A list that is to be signed; `newest_revocation` is the entry of the newest one in it, -1 if there is none."""

    pending: PendingCrl
    number: int
    this_update: datetime
    newest_revocation: int


def next_crl(
    ledger: Ledger, signer_serial: bytes, documents: SignerDocuments, now: datetime, validity: timedelta
) -> NextCrl:
    """Return the next list of a signer (9 bytes); raises UsageError CRL_SIGN_MISSING.

    Only what the ledger has at this moment is in it.
    """
    administered = ledger.administered
    newest_revocation = administered.newest_revocation(signer_serial)
    revocations = administered.revocations(signer_serial)
    before = administered.newest_crl(signer_serial)
    now = now.replace(microsecond=0)
    known = [each for each in ledger.known_documents() if each.signer_public_key == documents.signer_public_key]
    if before is not None and any(_expires(each) for each in [documents, *known]):
        revocations = [each for each in revocations if not _may_be_dropped(ledger, each, before)]
    number = next_number(before, now)
    pending = PendingCrl(
        issuer_of(documents, known),
        [as_entry(each) for each in revocations],
        number=number,
        this_update=now,
        next_update=now + validity,
    )
    return NextCrl(pending, number, now, newest_revocation)


def next_number(before: CrlIssued | None, now: datetime) -> int:
    """Return the CRL number that follows: seconds since 1970, or one more than the last one where that is higher.

    Verifiers may keep the highest number that they have seen. One that only counted in the ledger would go back with
    it when a backup is restored.
    """
    return max(int(now.timestamp()), 0 if before is None else before.number + 1)


def as_entry(revoked: Revoked) -> RevokedCertificate:
    """Return the entry of a list for a revocation."""
    return RevokedCertificate(revoked.certificate_serial, revoked.time, Reason(revoked.reason))


def issuer_of(documents: SignerDocuments, known: Iterable[SignerDocuments]) -> CrlIssuer:
    """Return the issuer of a signer's list; raises UsageError CRL_SIGN_MISSING.

    The list names an address only if all certificates of the signer name the same: else verifiers would not take it for
    the others. `known` are all documents that it has issued with.
    """
    issuer = CrlIssuer.of(documents)
    if any(distribution_uris(each.device.cert_template) != issuer.uris for each in known):
        return CrlIssuer(issuer.certificate, issuer.public_key)
    return issuer


def _expires(documents: SignerDocuments) -> bool:
    """Return whether certificates that are issued with these documents expire."""
    return bool(documents.device.expire_years) or _end(documents.device.cert_template) != _NEVER


def _may_be_dropped(ledger: Ledger, revoked: Revoked, before: CrlIssued) -> bool:
    """Return whether a list that was made after its certificate expired had an entry already (RFC 5280, 3.3)."""
    if before.time <= revoked.time:
        return False
    (entry,) = ledger.entries(revoked.certificate_index, 1)
    issued = decode(entry.body.decode("ascii"))
    assert isinstance(issued, Issued), "a revocation of something else than a certificate"
    return _end(issued.record.certificate) < before.time


def _end(certificate: bytes) -> datetime:
    """Return when a certificate (DER) expires."""
    return x509.load_der_x509_certificate(certificate).not_valid_after_utc
