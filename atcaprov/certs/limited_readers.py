"""Programs that do not accept certificates which end late, or whose compressed form is of format version 1.

Each is a fact from a public report, listed with its source in docs/reference/certificates.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from atcaprov.certs.dates import LAST_UTC_TIME_YEAR, NO_EXPIRY, DateFormat

_END_OF_2037: Final = datetime(2037, 12, 31, 23, 59, 59, tzinfo=UTC)
_END_OF_32_BITS: Final = datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC)
_END_OF_UTC_TIME: Final = datetime(LAST_UTC_TIME_YEAR, 12, 31, 23, 59, 59, tzinfo=UTC)
_END_OF_QT_5_10: Final = datetime(7999, 12, 31, 23, 59, 59, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LimitedReader:
    """A program, the last end date (UTC) that it accepts, and the address of the report."""

    name: str
    last: datetime
    source: str


READERS: Final = (
    LimitedReader("Azure IoT Edge 1.1 and older", _END_OF_2037, "https://github.com/Azure/iotedge/issues/5395"),
    LimitedReader("LibreSSL with a 32-bit time_t", _END_OF_32_BITS, "https://github.com/libressl/portable/issues/389"),
    LimitedReader("phpseclib 1 on 32-bit PHP", _END_OF_32_BITS, "https://github.com/phpseclib/phpseclib/issues/1166"),
    LimitedReader("XRootD", _END_OF_UTC_TIME, "https://github.com/xrootd/xrootd/issues/1969"),
    LimitedReader("POCO of 2019 and older", _END_OF_UTC_TIME, "https://github.com/pocoproject/poco/issues/2743"),
    LimitedReader("Qt before 5.11", _END_OF_QT_5_10, "https://github.com/chris2511/xca/issues/80"),
)
"""In the order of their last dates."""
FORMAT_1: Final = "cryptoauthlib before 3.7.5 (compressed format 1)"
"""Readers of version 0 only; MicrochipTech/cryptoauthlib lib/atcacert/atcacert_date.c."""


def not_accepted_by(ends: Iterable[datetime], format_versions: Iterable[int]) -> list[str]:
    """Return the names of the programs that refuse a chain with these end dates and format versions."""
    latest = max(ends)
    found = [reader.name for reader in READERS if latest > reader.last]
    return [*found, FORMAT_1] if any(format_versions) else found


def end_text(end: datetime) -> str:
    """Return the day of an end date, or that there is none."""
    return "no expiry (9999-12-31)" if end == NO_EXPIRY[DateFormat.RFC5280_GEN] else f"{end:%Y-%m-%d}"
