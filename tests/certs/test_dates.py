from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import CertificateError
from atcaprov.certs import dates
from atcaprov.certs.dates import DateFormat
from tests.support.certificates import vector

CASES = vector("dates")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("case", CASES["valid"], ids=lambda case: f"{case['issue']}+{case['expire_years']}")
def test_known_dates(case: dict[str, Any]) -> None:
    issue, years, version = moment(case["issue"]), case["expire_years"], case["format_version"]
    encoded, extension = bytes.fromhex(case["bytes_64_66"]), int(case["byte_71"], 16)
    assert dates.encode_dates(issue, years, version) == (encoded, extension)
    assert dates.decode_dates(encoded, extension, version) == (issue, years)
    assert dates.format_version_for(issue.year, years) == version


@pytest.mark.parametrize("case", CASES["valid"], ids=lambda case: f"{case['issue']}+{case['expire_years']}")
def test_known_expiry(case: dict[str, Any]) -> None:
    issue, years = moment(case["issue"]), case["expire_years"]
    for name, expected in case["expire_by_format"].items():
        date_format = DateFormat.RFC5280_GEN if name == "any" else DateFormat[name]
        if expected == "2025-02-29T00:00:00Z":  # what the vendor's code makes of 2024-02-29 and one year
            with pytest.raises(CertificateError, match="29 February"):
                dates.expire_date(issue, years, date_format)
        else:
            assert dates.expire_date(issue, years, date_format) == moment(expected)


def encode_fields(case: dict[str, Any]) -> None:
    issue = datetime(case["issue_year"], case["month"], case["day"], case["hour"], tzinfo=UTC)
    dates.encode_dates(issue, case["expire_years"], case["format_version"])


@pytest.mark.parametrize("case", CASES["rejected"], ids=lambda case: case["why"])
def test_rejected_dates(case: dict[str, Any]) -> None:
    with pytest.raises((CertificateError, ValueError)):
        encode_fields(case)


@pytest.mark.parametrize("case", CASES["accepted_impossible_dates"], ids=lambda case: case["bytes_64_66"])
def test_impossible_dates_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(CertificateError, match="are not a date"):
        dates.decode_dates(bytes.fromhex(case["bytes_64_66"]), 0, 0)


@given(st.binary(min_size=3, max_size=3), st.integers(0, 255), st.integers(0, 1))
def test_any_bytes(encoded: bytes, extension: int, version: int) -> None:
    try:
        issue, years = dates.decode_dates(encoded, extension, version)
    except CertificateError:
        return
    assert dates.encode_dates(issue, years, version) == (encoded, extension & 0xF0 if version else 0)


@given(st.datetimes(datetime(2000, 1, 1), datetime(2127, 12, 31, 23)), st.integers(0, 127))
def test_round_trip(naive: datetime, years: int) -> None:
    issue = naive.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
    version = dates.format_version_for(issue.year, years)
    assert dates.decode_dates(*dates.encode_dates(issue, years, version), version) == (issue, years)


@pytest.mark.parametrize(
    ("issue", "message"),
    [
        (datetime(2026, 1, 1, 0, 1, tzinfo=UTC), "full hour"),
        (datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), "full hour"),
        (datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), "full hour"),
        (datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1))), "UTC"),
        (datetime(2026, 1, 1), "UTC"),
        (datetime(1999, 12, 31, 23, tzinfo=UTC), "1999"),
        (datetime(2032, 1, 1, tzinfo=UTC), "2000-2031"),
    ],
)
def test_refused_issue_dates(issue: datetime, message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        dates.encode_dates(issue, 0, 0)


@pytest.mark.parametrize(("years", "version"), [(32, 0), (128, 1), (-1, 0), (1, 2)])
def test_refused_years(years: int, version: int) -> None:
    with pytest.raises(CertificateError):
        dates.encode_dates(datetime(2026, 1, 1, tzinfo=UTC), years, version)


def test_equal_moments_of_other_time_zones_are_refused_each_time() -> None:
    local = datetime(2027, 5, 6, 10, tzinfo=timezone(timedelta(hours=2)))
    formats = (DateFormat.RFC5280_UTC, DateFormat.RFC5280_GEN)
    for _ in range(2):
        with pytest.raises(CertificateError, match="UTC"):
            dates.validity_texts(local, 0, *formats)
        with pytest.raises(CertificateError, match="UTC"):
            dates.encode_dates(local, 0, 0)
        assert dates.validity_texts(local.astimezone(UTC), 0, *formats)[0] == b"270506080000Z"
        assert dates.encode_dates(local.astimezone(UTC), 0, 0)


def test_texts() -> None:
    date = datetime(2031, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert dates.format_date(date, DateFormat.RFC5280_UTC) == b"310203040506Z"
    assert dates.format_date(date, DateFormat.RFC5280_GEN) == b"20310203040506Z"
    assert dates.format_date(date, DateFormat.ISO8601_SEP) == b"2031-02-03T04:05:06Z"
    # 1927857906 by `date -u -d '2031-02-03 04:05:06' +%s`
    assert dates.format_date(date, DateFormat.POSIX_UINT32_BE) == (1927857906).to_bytes(4, "big")
    assert dates.format_date(date, DateFormat.POSIX_UINT32_LE) == (1927857906).to_bytes(4, "little")
    for date_format in DateFormat:
        assert len(dates.format_date(date, date_format)) == dates.DATE_SIZES[date_format]


def test_dates_that_do_not_fit_their_text() -> None:
    with pytest.raises(CertificateError, match="2050"):
        dates.format_date(datetime(2050, 1, 1, tzinfo=UTC), DateFormat.RFC5280_UTC)
    with pytest.raises(CertificateError, match="32 bits"):
        dates.format_date(datetime(2107, 1, 1, tzinfo=UTC), DateFormat.POSIX_UINT32_BE)


def test_issue_hour() -> None:
    local = datetime(2026, 6, 1, 10, 59, 59, 7, tzinfo=timezone(timedelta(hours=2)))
    assert dates.issue_hour(local, 10) == datetime(2026, 6, 1, 8, tzinfo=UTC)
    leap = datetime(2028, 2, 29, 12, 30, tzinfo=UTC)
    assert dates.issue_hour(leap, 10) == datetime(2028, 2, 28, 23, tzinfo=UTC)
    assert dates.issue_hour(leap, 0) == datetime(2028, 2, 29, 12, tzinfo=UTC)


def test_rfc_5280_formats() -> None:
    assert dates.needed_format(2049) is DateFormat.RFC5280_UTC
    assert dates.needed_format(2050) is DateFormat.RFC5280_GEN
