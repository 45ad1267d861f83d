"""The dates of a certificate as the compressed form holds them: a full hour, and whole years."""

from __future__ import annotations

from datetime import datetime

from atcaprov.certs import dates
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.der import UTC_TIME
from atcaprov.certs.derivation.request import Findings
from atcaprov.certs.x509_layout import CertificateLayout, Span


def validity(certificate: bytes, layout: CertificateLayout, findings: Findings) -> tuple[datetime, int] | None:
    """Return notBefore (UTC) and the years of validity (0 = no expiry); None, with the findings, if they do not fit."""
    begin = _date(certificate, layout.issue_date, layout.issue_date_tag)
    end = _date(certificate, layout.expire_date, layout.expire_date_tag)
    years = _years(begin, end, date_format(layout.expire_date_tag))
    if begin.minute or begin.second:
        findings.refuse(
            f"notBefore: {begin:%Y-%m-%d %H:%M:%S} is not on the full hour",
            f"Have the CA start on a full hour, such as openssl ca -startdate {begin:%Y%m%d%H}0000Z",
        )
    last = dates.LAST_ISSUE_YEAR[1]
    if not dates.FIRST_YEAR <= begin.year <= last:
        findings.refuse(f"notBefore: {begin.year} is outside 2000 to {last}", "Have the CA start in one of these years")
    if years is None:
        findings.refuse(
            f"notAfter: {end:%Y-%m-%d %H:%M:%S} is neither a whole number of years (1 to 127) after notBefore, "
            "to the second, nor 9999-12-31 23:59:59",
            f"Have the CA end it so, such as openssl ca -enddate {_whole_years(begin, end):%Y%m%d%H}0000Z",
        )
    return None if findings.problems or years is None else (begin, years)


def date_format(tag: int) -> DateFormat:
    """Return the date format of a DER tag."""
    return DateFormat.RFC5280_UTC if tag == UTC_TIME else DateFormat.RFC5280_GEN


def _date(certificate: bytes, span: Span, tag: int) -> datetime:
    return dates.parse_date(span.of(certificate), date_format(tag))


def _years(begin: datetime, end: datetime, form: DateFormat) -> int | None:
    if end == dates.NO_EXPIRY[form]:
        return 0
    years = end.year - begin.year
    whole = 1 <= years <= dates.MAX_EXPIRE_YEARS[1] and end == _after(begin, years)
    return years if whole else None


def _after(begin: datetime, years: int) -> datetime | None:
    try:
        return begin.replace(year=begin.year + years)
    except ValueError:  # 29 February
        return None


def _whole_years(begin: datetime, end: datetime) -> datetime:
    years = min(max(end.year - begin.year, 1), dates.MAX_EXPIRE_YEARS[1])
    return _after(begin, years) or begin.replace(year=begin.year + years, day=28)
