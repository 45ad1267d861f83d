"""Whether a signer's list is up to date: what is revoked and on no list, and when the next one is due."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from provisioning_server.ledger.administration import CrlIssued, Revoked
from provisioning_server.ledger.entry_bodies import decode
from provisioning_server.ledger.store import Ledger
from provisioning_server.revocation.published_crls import PublishedCrl
from provisioning_server.revocation.schedule import renew_at


class CrlDue(enum.StrEnum):
    """Why a signer is to sign its next list."""

    NO = "no"
    RENEWAL = "renewal"
    REVOCATION = "revocation"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class CrlState:
    """A signer's newest list, if it has signed one, and whether the next one is due."""

    signer_serial: bytes
    newest: PublishedCrl | None
    due: CrlDue


def crl_state(ledger: Ledger, signer_serial: bytes, now: datetime) -> CrlState:
    """Return the state of a signer (9 bytes). One without a list and without a revocation needs none."""
    administered = ledger.administered
    issued = administered.newest_crl(signer_serial)
    newest = None if issued is None else PublishedCrl.of(issued.crl)
    unlisted = is_unlisted(ledger, administered.newest_revocation(signer_serial), issued)
    return CrlState(signer_serial, newest, _due(newest, now, unlisted=unlisted))


def _due(newest: PublishedCrl | None, now: datetime, *, unlisted: bool) -> CrlDue:
    if newest is not None and newest.next_update <= now:
        return CrlDue.EXPIRED
    if unlisted:
        return CrlDue.REVOCATION
    if newest is not None and renew_at(newest.this_update, newest.next_update) <= now:
        return CrlDue.RENEWAL
    return CrlDue.NO


def is_unlisted(ledger: Ledger, newest_revocation: int, issued: CrlIssued | None) -> bool:
    """Return whether the newest revocation of a signer (its entry; -1: none) is on no list: it comes in last."""
    if newest_revocation < 0:
        return False
    if issued is None:
        return True
    (entry,) = ledger.entries(newest_revocation, 1)
    revoked = decode(entry.body.decode("ascii"))
    assert isinstance(revoked, Revoked)
    listed = x509.load_der_x509_crl(issued.crl)
    number = int.from_bytes(revoked.certificate_serial, "big")
    return listed.get_revoked_certificate_by_serial_number(number) is None and issued.time <= revoked.time
