"""Dates of certificates: three bytes in the compressed form, and a string in the certificate.

24 bits, big-endian: (issue year - 2000, low 5 bits) << 19 | month << 15 | day << 10 | hour << 5 | expire years, low 5
bits. In format version 1 byte 71 adds bits 6-5 of both years. Source: MicrochipTech/cryptoauthlib
lib/atcacert/atcacert_date.c, described in docs/reference/certificates.md.
"""

from __future__ import annotations

import enum
import functools
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from atcaprov.errors import CertificateError, Code

EARLIEST_CLOCK_YEAR: Final = 2026
"""The year in which this program was written: a clock that says an earlier one is wrong."""
FIRST_YEAR: Final = 2000
LAST_ISSUE_YEAR: Final = MappingProxyType({0: 2031, 1: 2127})
"""Format version -> last issue year that fits."""
MAX_EXPIRE_YEARS: Final = MappingProxyType({0: 31, 1: 127})
"""Format version -> most years of validity that fit."""
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far the issuer's clock may be ahead of the clock of a program that checks the certificate right afterwards."""
LAST_UTC_TIME_YEAR: Final = 2049
"""RFC 5280, 4.1.2.5: up to this year a date is a UTCTime, from the next on a GeneralizedTime."""


def require_possible_clock(now: datetime, *, advice: str) -> None:
    """Raise CertificateError (CLOCK_WRONG) if this computer's clock says a time before this program was written."""
    if now.year < EARLIEST_CLOCK_YEAR:
        raise CertificateError(
            f"The clock of this computer says {now:%Y-%m-%d %H:%M} UTC, a time before this program was written.",
            advice=advice,
            code=Code.CLOCK_WRONG,
        )


class DateFormat(enum.IntEnum):
    """How a date is written in the certificate (atcacert_date_format_t)."""

    ISO8601_SEP = 0
    RFC5280_UTC = 1
    POSIX_UINT32_BE = 2
    POSIX_UINT32_LE = 3
    RFC5280_GEN = 4


DATE_SIZES: Final = MappingProxyType(
    {
        DateFormat.ISO8601_SEP: 20,
        DateFormat.RFC5280_UTC: 13,
        DateFormat.POSIX_UINT32_BE: 4,
        DateFormat.POSIX_UINT32_LE: 4,
        DateFormat.RFC5280_GEN: 15,
    }
)

_END_OF_TIME: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
_END_OF_POSIX: Final = datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC)
NO_EXPIRY: Final = MappingProxyType(
    {
        DateFormat.ISO8601_SEP: _END_OF_TIME,
        DateFormat.RFC5280_UTC: datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),
        DateFormat.POSIX_UINT32_BE: _END_OF_POSIX,
        DateFormat.POSIX_UINT32_LE: _END_OF_POSIX,
        DateFormat.RFC5280_GEN: _END_OF_TIME,
    }
)
"""The expiry date in the certificate if the compressed form has 0 years."""


def format_version_for(year: int, expire_years: int) -> int:
    """Return the lowest format version (0 or 1) that holds an issue year and a number of years."""
    return int(year > LAST_ISSUE_YEAR[0] or expire_years > MAX_EXPIRE_YEARS[0])


def check_issue_date(issue_date: datetime, format_version: int) -> None:
    """Refuse an issue date that the compressed form cannot hold: not in UTC, with minutes, or a year out of range."""
    require_utc(issue_date)
    if issue_date.minute or issue_date.second or issue_date.microsecond:
        raise CertificateError(
            f"The issue date {issue_date.isoformat()} is not on the full hour; the chip stores hours only.",
            advice="Round it down to the hour.",
        )
    last = LAST_ISSUE_YEAR.get(format_version)
    if last is None:
        raise CertificateError(f"Format version {format_version} does not exist for P-256; there are 0 and 1.")
    if not FIRST_YEAR <= issue_date.year <= last:
        raise CertificateError(
            f"The issue year {issue_date.year} is outside 2000-{last}, the range of format version {format_version}.",
            advice="Format version 1 holds years up to 2127, for readers that know it." if not format_version else "",
        )


# A server issues and proves thousands of certificates in one hour: their dates are computed once. Equal moments of
# two time zones are one key of such a cache, so only dates known to be in UTC may come near it.
_once_an_hour = functools.lru_cache(maxsize=128)


def require_utc(issue_date: datetime) -> None:
    """Raise CertificateError unless a date is given in UTC."""
    if issue_date.tzinfo is not UTC and issue_date.utcoffset() != timedelta(0):
        raise CertificateError("The issue date must be given in UTC.")


def encode_dates(issue_date: datetime, expire_years: int, format_version: int) -> tuple[bytes, int]:
    """Return bytes 64-66 and byte 71 of the compressed form.

    Raises CertificateError for a date or number of years that does not fit the format version.
    """
    check_issue_date(issue_date, format_version)
    most = MAX_EXPIRE_YEARS[format_version]
    if not 0 <= expire_years <= most:
        raise CertificateError(f"{expire_years} years do not fit; format version {format_version} holds 0 to {most}.")
    return _encoded(issue_date, expire_years)


@_once_an_hour
def _encoded(issue_date: datetime, expire_years: int) -> tuple[bytes, int]:
    year = issue_date.year - FIRST_YEAR
    value = (year & 31) << 19 | issue_date.month << 15 | issue_date.day << 10 | issue_date.hour << 5 | expire_years & 31
    extension = (year >> 5) << 6 | (expire_years >> 5) << 4
    return value.to_bytes(3, "big"), extension


@_once_an_hour
def decode_dates(encoded: bytes, extension: int, format_version: int) -> tuple[datetime, int]:
    """Return issue date (UTC, full hour) and expire years from bytes 64-66 and byte 71.

    Raises CertificateError for an impossible date (the vendor's decoder accepts it and fails later).
    """
    value = int.from_bytes(encoded, "big")
    year, expire_years = value >> 19, value & 31
    if format_version:
        year |= extension >> 6 << 5
        expire_years |= (extension >> 4 & 3) << 5
    month, day, hour = value >> 15 & 15, value >> 10 & 31, value >> 5 & 31
    try:
        return datetime(FIRST_YEAR + year, month, day, hour, tzinfo=UTC), expire_years
    except ValueError as error:
        raise CertificateError(
            f"Bytes 64-66 of the compressed certificate ({encoded.hex()}) are not a date: "
            f"{FIRST_YEAR + year}-{month:02}-{day:02} {hour:02} h.",
            advice="The slot holds something else, or was never written.",
        ) from error


def validity_texts(
    issue_date: datetime, expire_years: int, issue_format: DateFormat, expire_format: DateFormat
) -> tuple[bytes, bytes]:
    """Return notBefore and notAfter as in the certificate; raises as `format_date`."""
    require_utc(issue_date)
    return _validity_texts(issue_date, expire_years, issue_format, expire_format)


@_once_an_hour
def _validity_texts(
    issue_date: datetime, expire_years: int, issue_format: DateFormat, expire_format: DateFormat
) -> tuple[bytes, bytes]:
    expire = expire_date(issue_date, expire_years, expire_format)
    return format_date(issue_date, issue_format), format_date(expire, expire_format)


def expire_date(issue_date: datetime, expire_years: int, date_format: DateFormat) -> datetime:
    """Return notAfter: the same day and hour `expire_years` later, or the last date of the format for 0 years."""
    if expire_years == 0:
        return NO_EXPIRY[date_format]
    try:
        return issue_date.replace(year=issue_date.year + expire_years)
    except ValueError as error:
        raise CertificateError(
            f"{expire_years} years after {issue_date:%Y-%m-%d} there is no 29 February.",
            advice="Issue it with the date 28 February.",
        ) from error


def format_date(date: datetime, date_format: DateFormat) -> bytes:
    """Return the bytes of a date (UTC) as the format writes it; raises CertificateError when it does not fit."""
    if date_format is DateFormat.RFC5280_GEN:
        return b"%04d%02d%02d%02d%02d%02dZ" % date.timetuple()[:6]
    if date_format is DateFormat.RFC5280_UTC:
        if not 1950 <= date.year <= LAST_UTC_TIME_YEAR:
            raise CertificateError(
                f"The year {date.year} does not fit the two digits of a UTCTime (1950-2049).",
                advice="The definition needs GeneralizedTime for this date.",
            )
        return b"%02d%02d%02d%02d%02d%02dZ" % (date.year % 100, *date.timetuple()[1:6])
    if date_format is DateFormat.ISO8601_SEP:
        return b"%04d-%02d-%02dT%02d:%02d:%02dZ" % date.timetuple()[:6]
    seconds = int(date.timestamp())
    if not 0 <= seconds < 1 << 32:
        raise CertificateError(f"The date {date:%Y-%m-%d} does not fit 32 bits of seconds since 1970.")
    return seconds.to_bytes(4, "big" if date_format is DateFormat.POSIX_UINT32_BE else "little")


def parse_date(text: bytes, date_format: DateFormat) -> datetime:
    """Return the date (UTC) of a UTCTime or GeneralizedTime; raises CertificateError for anything else."""
    digits = {DateFormat.RFC5280_UTC: 12, DateFormat.RFC5280_GEN: 14}.get(date_format, 0)
    if len(text) != digits + 1 or text[-1:] != b"Z" or not text[:-1].isdigit():
        raise CertificateError("A date of the certificate is neither a UTCTime nor a GeneralizedTime.")
    month, day, hour, minute, second = (int(text[start : start + 2]) for start in range(digits - 10, digits, 2))
    year = int(text[: digits - 10])
    if date_format is DateFormat.RFC5280_UTC:
        year += 2000 if year < 50 else 1900
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise CertificateError("A date of the certificate does not exist.") from error


def needed_format(year: int) -> DateFormat:
    """Return the format that RFC 5280 demands for a date of this year."""
    return DateFormat.RFC5280_UTC if year <= LAST_UTC_TIME_YEAR else DateFormat.RFC5280_GEN


def issue_hour(now: datetime, expire_years: int) -> datetime:
    """Return the date to issue with: `now` rounded down to the hour, in UTC.

    29 February with a limited validity becomes 28 February 23 h, since that day may not exist N years later.
    """
    utc = now if now.tzinfo is UTC else now.astimezone(UTC)
    hour = utc.replace(minute=0, second=0, microsecond=0)
    if expire_years and (hour.month, hour.day) == (2, 29):
        return hour.replace(day=28, hour=23)
    return hour
