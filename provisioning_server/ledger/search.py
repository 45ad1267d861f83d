"""Search the certificates of a ledger, a page at a time: memory stays flat however many are found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from provisioning_server.ledger.store import StoredCertificate

PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class CertificateFilter:
    """Which certificates are wanted: all that fit everything that is given.

    `chip_serial` and `signer_serial` 9 bytes, `public_key` 64 (X||Y); `station` is the name of a station, or an address
    without a port, such as `192.0.2.7`; issued from `since` on and before `until`; `proven` says whether a proof was
    seen; `fate` is what was reported last, the empty text if nothing was; `order` is a work order; `revoked` says
    whether it was taken back.
    """

    chip_serial: bytes | None = None
    public_key: bytes | None = None
    signer_serial: bytes | None = None
    certificate_serial: bytes | None = None
    station: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    proven: bool | None = None
    fate: str | None = None
    order: str | None = None
    revoked: bool | None = None


class Searchable(Protocol):
    """What is searched."""

    def find(
        self, wanted: CertificateFilter, count: int, after: StoredCertificate | None = None
    ) -> Sequence[StoredCertificate]:
        """Return at most `count` certificates, oldest first, behind one that was found before."""


def find_all(ledger: Searchable, wanted: CertificateFilter) -> Iterator[StoredCertificate]:
    """Yield all certificates that are wanted, oldest first.

    A certificate that is issued meanwhile may be found too. The ledger is not held up between two pages.
    """
    last: StoredCertificate | None = None
    while page := ledger.find(wanted, PAGE, last):
        yield from page
        last = page[-1]
