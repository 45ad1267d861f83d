"""Who is admitted: by the table of stations, by the dates, and by nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov.wire.messages import ErrorReply
from provisioning_server.ledger.administration import StationAdmitted
from provisioning_server.ledger.store import Station
from provisioning_server.stations.admission import Admission
from tests.support.stations import example_ca, new_key

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(clock)


def _station(certificate: bytes, *, removed: int | None = None, name: str = "line-1") -> Station:
    return Station(StationAdmitted(NOW, name, certificate), removed)


def _certificate(name: str = "line-1") -> bytes:
    certificate = example_ca().station_certificate(new_key().public_key(), name, begins=NOW - DAY, ends=NOW + 10 * DAY)
    return certificate.public_bytes(Encoding.DER)


def _code(answer: str | ErrorReply) -> str:
    return answer.code if isinstance(answer, ErrorReply) else "admitted"


def test_only_certificates_of_the_table_are_admitted(admission: Admission) -> None:
    one, other = _certificate(), _certificate()
    admission.update([_station(one)])
    assert admission.admit(one) == "line-1"
    assert _code(admission.admit(other)) == "station-unknown"
    assert _code(admission.admit(b"")) == "station-unknown"


def test_removed_station_is_told_so_and_one_of_its_name_is_admitted_again(admission: Admission) -> None:
    old, new = _certificate(), _certificate()
    admission.update([_station(old)])
    admission.update([_station(old, removed=5), _station(new)])
    assert _code(admission.admit(old)) == "station-removed"
    assert admission.admit(new) == "line-1"


@pytest.mark.parametrize(("days", "code"), [(-2, "station-expired"), (0, "admitted"), (11, "station-expired")])
def test_dates_are_looked_at_each_time_also_when_the_clock_steps(
    admission: Admission, clock: Clock, days: int, code: str
) -> None:
    certificate = _certificate()
    admission.update([_station(certificate)])
    assert _code(admission.admit(certificate)) == "admitted"
    clock.now += days * DAY
    answer = admission.admit(certificate)
    assert _code(answer) == code
    if isinstance(answer, ErrorReply):
        assert "2026-11-29 12:00 UTC to 2026-12-10 12:00 UTC" in answer.message


def test_two_newest_certificates_of_a_station_are_admitted(admission: Admission) -> None:
    certificates = [_certificate() for _ in range(3)]
    admission.update([_station(each) for each in certificates])
    assert [_code(admission.admit(each)) for each in certificates] == ["station-expired", "admitted", "admitted"]


def test_station_that_is_being_removed_gets_nothing_before_the_ledger_is_read_again(admission: Admission) -> None:
    one, other = _certificate(), _certificate("line-2")
    table = [_station(one), _station(other, name="line-2")]
    admission.update(table)
    admission.remove("line-1")
    admission.update(table)
    assert _code(admission.admit(one)) == "station-removed"
    assert admission.admit(other) == "line-2"
    gone = admission.refusal("line-1")
    assert gone is not None
    assert gone.code == "station-removed"
    assert admission.refusal("line-2") is None
    again = _certificate()
    admission.update([*table, _station(again)])
    assert admission.admit(again) == "line-1"
    assert admission.refusal("line-1") is None
