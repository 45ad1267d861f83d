"""The dates of a certificate as the compressed form holds them: a full hour, and whole years."""

from __future__ import annotations

from datetime import datetime

from atcaprov.certs import dates
from atcaprov.certs.dates import DateFormat
from atcaprov.certs.der import UTC_TIME
from atcaprov.certs.derivation.request import DefinitionRequest, Findings
from atcaprov.certs.x509_layout import CertificateLayout, Span


def validity(
    certificate: bytes, layout: CertificateLayout, request: DefinitionRequest, findings: Findings
) -> tuple[datetime, int] | None:
    """Return the hour of notBefore (UTC) and the years of validity (0 = no expiry, or a notAfter that is not computed).

    None, with the findings, if a date does not fit that is neither stored as text nor constant.
    """
    begin = _date(certificate, layout.issue_date, layout.issue_date_tag)
    end = _date(certificate, layout.expire_date, layout.expire_date_tag)
    years = _years(begin, end, date_format(layout.expire_date_tag))
    if (begin.minute or begin.second) and not request.stores(layout.issue_date.of(certificate)):
        findings.refuse(
            f"notBefore: {begin:%Y-%m-%d %H:%M:%S} is not on the full hour",
            f"Have the CA start on a full hour, such as openssl ca -startdate {begin:%Y%m%d%H}0000Z",
        )
    last = dates.LAST_ISSUE_YEAR[1]
    if not dates.FIRST_YEAR <= begin.year <= last:
        findings.refuse(f"notBefore: {begin.year} is outside 2000 to {last}", "Have the CA start in one of these years")
    if request.constant_end or (years is None and request.stores(layout.expire_date.of(certificate))):
        years = 0
    if years is None:
        findings.refuse(
            f"notAfter: {end:%Y-%m-%d %H:%M:%S} is neither a whole number of years (1 to 127) after notBefore, "
            "to the second, nor 9999-12-31 23:59:59",
            "Have the CA end it after whole years, such as openssl ca -enddate "
            f"{_whole_years(begin, end):%Y%m%d%H}0000Z, or give --constant-end if all certificates of the"
            " family end at this moment",
        )
    if findings.problems or years is None:
        return None
    return begin.replace(minute=0, second=0), years


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
