"""Which requests are refused because a station asks too often. The test moves the clock."""

from __future__ import annotations

import pytest

from atcaprov import Code
from provisioning_server.orders import rate_limits
from provisioning_server.orders.askers import OWN_COMPUTER, asker_of
from provisioning_server.orders.rate_limits import RateLimits, RequestKind, RequestRates
from provisioning_server.orders.rates import Rate
from tests.support.server_parts import RememberingLog
from tests.support.wire_examples import REPORT, REQUEST, SIGNER_REQUEST

ONE, TWO = asker_of("line-1", ""), asker_of("line-2", "")

RATE, SERVER_RATE = Rate(6, 60), Rate(20, 60)


class Bench:
    """Rate limits with a clock that stands still until it is moved."""

    def __init__(self, of_station: Rate | None = RATE, of_server: Rate | None = SERVER_RATE) -> None:
        self.time = 5000.0
        self.log = RememberingLog()
        self.limits = RateLimits(RequestRates(of_station, of_server), lambda: self.time, self.log)

    def taken(self, name: str, times: int = 1, request: object = REQUEST) -> int:
        """Ask so many times; return how many requests were taken."""
        return sum(self.limits.refusal(request, name) is None for _ in range(times))  # type: ignore[arg-type]

    def wait(self, name: str) -> int:
        refusal = self.limits.refusal(REQUEST, name)
        assert refusal is not None
        assert (refusal.code, refusal.retryable) == (Code.SERVER_BUSY, True)
        return refusal.retry_after


def test_station_gets_its_rate_and_is_told_when_to_come_again() -> None:
    bench = Bench()
    assert bench.taken(ONE, 10) == 6
    assert bench.wait(ONE) == 10_000
    bench.time += 9.75
    assert bench.wait(ONE) in (250, 251)
    bench.time += 0.25
    assert bench.taken(ONE, 2) == 1
    bench.time += 3600
    assert bench.taken(ONE, 10) == 6


def test_other_station_is_not_touched_by_one_that_floods() -> None:
    bench = Bench()
    bench.taken(ONE, 1000)
    assert bench.taken(TWO, 6) == 6


def test_each_kind_of_request_is_counted_apart() -> None:
    bench = Bench(Rate(3, 60), None)
    assert bench.taken(ONE, 100) == 3
    assert bench.taken(ONE, 100, SIGNER_REQUEST) == 12
    assert bench.taken(ONE, 100, REPORT) == 12
    assert bench.limits.refused == {
        RequestKind.CERTIFICATE: 97,
        RequestKind.OFFER: 88,
        RequestKind.REPORT: 88,
        RequestKind.ENROLMENT: 0,
    }


def test_stations_that_ask_much_leave_half_of_the_server_to_others() -> None:
    bench = Bench(Rate(10, 60), Rate(100, 60))
    stations = [asker_of(f"line-{number}", "") for number in range(40)]
    first = sum(bench.taken(station, 10) for station in stations[:20])
    assert 50 <= first < 100
    later = sum(bench.taken(station) for station in stations[20:])
    assert later == min(20, 100 - first)


def test_station_that_asks_rarely_is_served_while_all_others_flood() -> None:
    bench = Bench(Rate(10, 60), Rate(100, 60))
    for _ in range(600):
        bench.time += 1.0
        for number in range(50):
            bench.taken(asker_of("", f"192.0.2.{number}:1"), 3)
        if bench.time % 10 == 0:
            assert bench.taken(ONE) == 1


def test_server_answers_no_more_than_its_rate_however_many_ask() -> None:
    bench = Bench(Rate(10, 60), Rate(100, 60))
    taken = 0
    for _ in range(300):
        bench.time += 1.0
        taken += sum(bench.taken(asker_of("", f"192.0.2.{number}:1")) for number in range(100))
    assert taken <= 100 + 300 * 100 / 60 + 1


def test_own_computer_is_held_to_the_servers_rate_alone() -> None:
    bench = Bench(Rate(6, 60), Rate(100, 60))
    assert 50 <= bench.taken(OWN_COMPUTER, 200) <= 100
    assert bench.taken(ONE) == 1


@pytest.mark.parametrize("rate", [None, Rate(5, 60)])
def test_limits_can_be_left_out(rate: Rate | None) -> None:
    assert Bench(None, None).taken(ONE, 10_000) == 10_000
    assert Bench(rate, None).taken(ONE, 100) == (100 if rate is None else 5)


def test_very_many_computers_share_the_last_buckets_but_stations_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "ASKERS_MAX", 10)
    bench = Bench(Rate(2, 60), None)
    assert [bench.taken(asker_of("", f"198.51.100.{number}:1")) for number in range(11)] == [1] * 11
    assert [bench.taken(asker_of("", f"192.0.2.{number}:1")) for number in range(4)] == [1, 1, 0, 0]
    assert bench.taken(ONE, 2) == 2
    bench.time += 120.0
    assert [bench.taken(asker_of("", f"192.0.2.{number}:1")) for number in range(4)] == [1, 1, 1, 1]


def test_who_asks_too_often_is_named_for_a_minute() -> None:
    bench = Bench(Rate(1, 60), None)
    bench.taken(ONE)
    assert bench.limits.sentence == ""
    bench.taken(ONE, 2)
    assert "2 requests refused since the start, the last one a request of station line-1" in bench.limits.sentence
    bench.time += 60.0
    assert bench.limits.sentence == ""


def test_flood_fills_no_log() -> None:
    bench = Bench(Rate(1, 60), None)
    bench.taken(ONE, 2)
    assert bench.log.lines == [
        "warning: Too many certificates asked for by station line-1: a request was refused."
        " See --rate and --server-rate."
    ]
    bench.taken(ONE, 500)
    assert len(bench.log.lines) == 1
    bench.time += 59.0
    bench.taken(ONE, 1)
    assert len(bench.log.lines) == 1
    bench.time += 1.0
    bench.taken(ONE, 2)
    assert "line-1: 502 requests were refused" in bench.log.lines[-1]
    for number in range(255):
        bench.taken(asker_of("", f"192.0.2.{number}:1"), 5)
    assert len(bench.log.lines) <= 2 + 20


def test_clock_that_steps_back_refuses_no_one_for_longer() -> None:
    bench = Bench()
    bench.taken(ONE, 6)
    bench.time -= 4000.0
    assert bench.wait(ONE) == 10_000
    bench.time += 10.0
    assert bench.taken(ONE) == 1
