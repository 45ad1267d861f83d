"""Events that a person decides: who may ask, for what, and which certificate is taken back. `by` names that person.

They stand in the ledger, so that the servers on one ledger agree, and everybody can later tell who was admitted when.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final


@dataclass(frozen=True, slots=True)
class StationInvited:
    """A station may enrol once, with the secret whose SHA-256 is `token_hash`, until `expires`."""

    time: datetime
    station: str
    token_hash: bytes
    expires: datetime
    by: str = ""


@dataclass(frozen=True, slots=True)
class StationAdmitted:
    """A station has this certificate (DER) of the station CA. `token_hash` is empty if it renewed an earlier one."""

    time: datetime
    station: str
    certificate: bytes
    token_hash: bytes = b""
    by: str = ""


@dataclass(frozen=True, slots=True)
class StationRemoved:
    """All certificates and open invitations of a station end now."""

    time: datetime
    station: str
    reason: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class OrderOpened:
    """A work order: at most `count` certificates of a product (0: no limit), from `begins` and before `ends`.

    `label_pattern` is what a label must match, `stations` are those that may work on it; empty: any.
    """

    time: datetime
    order: str
    product: str = ""
    count: int = 0
    begins: datetime | None = None
    ends: datetime | None = None
    label_pattern: str = ""
    stations: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True, slots=True)
class OrderClosed:
    """Nothing more is issued for a work order."""

    time: datetime
    order: str
    reason: str
    by: str = ""


SUPERSEDED: Final = "superseded"
"""The reason for which a chip gets another certificate."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate is taken back. `reason` is a word of RFC 5280 (section 5.3.1), `note` what a person says of it.

    `certificate_index` is its entry, `chip_serial` and `signer_serial` 9 bytes.
    """

    time: datetime
    certificate_index: int
    chip_serial: bytes
    signer_serial: bytes
    certificate_serial: bytes
    reason: str
    note: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class CrlIssued:
    """A signer (9 bytes) has signed its list of revoked certificates (DER) with this CRL number."""

    time: datetime
    signer_serial: bytes
    number: int
    crl: bytes


AdministrativeEvent = (
    StationInvited | StationAdmitted | StationRemoved | OrderOpened | OrderClosed | Revoked | CrlIssued
)
