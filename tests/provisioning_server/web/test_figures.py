"""What is counted, and what is drawn of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.errors import Board, Code, UsageError
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.operations.standing_warnings import StandingWarning, Subject
from provisioning_server.web.alarms import Alarm, AlarmBoard, Urgency, health_alarms, signer_alarms, warning_alarms
from provisioning_server.web.figures import ledger_follower
from provisioning_server.web.figures.hour_counts import (
    CODES_MAX,
    OTHER_CODE,
    HourCount,
    HourCounts,
    begin_of,
    hour_of,
    most_frequent,
)
from provisioning_server.web.figures.ledger_follower import LedgerFollower
from provisioning_server.web.health import Health
from provisioning_server.web.plots.plot import HEIGHT, WIDTH, connected, stacked, top_of
from provisioning_server.web.plots.production_plots import (
    burn_down_plot,
    days_plot,
    failures_plot,
    hours_until,
    lasts,
    percent,
    rate_plot,
    yield_plot,
)
from provisioning_server.web.views import QuotaLeft, SignerState, SignerView
from tests.support.factory_days import fill
from tests.support.in_memory_signer import NOW
from tests.support.ledgers import ledger_in, signer
from tests.support.web_pages import MemoryPages


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[SqlLedger]:
    with contextlib.closing(ledger_in(tmp_path)) as found:
        yield found


def count(good: int = 0, retry: int = 0, aside: int = 0, scrap: int = 0) -> HourCount:
    found = HourCount()
    found.fates.update({Board.GOOD: good, Board.RETRY: retry, Board.SET_ASIDE: aside, Board.SCRAP: scrap})
    return found


def test_yield_counts_boards_that_were_decided_on() -> None:
    assert count(good=8, retry=5, aside=1, scrap=1).yield_percent == 80
    assert count(retry=5).yield_percent is None
    assert count(good=8, retry=5, aside=1, scrap=1).failed == 7


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (100.0, "100 %"), (99.99, "99.9 %"), (90.25, "90.2 %"), (0.0, "0 %")]
)
def test_a_yield_that_is_not_whole_never_looks_so(value: float | None, text: str) -> None:
    assert percent(value) == text


def test_codes_of_clients_are_bounded() -> None:
    found = HourCount()
    for number in range(CODES_MAX + 50):
        found.count_code(f"code-{number}")
    assert len(found.codes) == CODES_MAX + 1
    assert most_frequent(found.codes, 1) == [(OTHER_CODE, 50)]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=40))
def test_the_axis_holds_all_values_and_has_a_whole_middle(values: list[int]) -> None:
    top = top_of(values)
    assert max(values) <= top <= max(2, 2.5 * max(values))
    assert top % 2 == 0


@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=3), min_size=1, max_size=30))
def test_bars_stand_on_each_other_within_the_field(values: list[list[int]]) -> None:
    top = top_of([sum(parts) for parts in values])
    bars = stacked([[("kind", value, "") for value in parts] for parts in values], top)
    assert len(bars) == sum(value > 0 for parts in values for value in parts)
    for bar in bars:
        x, y, width, height = (float(each) for each in (bar.x, bar.y, bar.width, bar.height))
        assert -0.01 <= x <= x + width <= WIDTH + 0.01
        assert -0.01 <= y <= y + height <= HEIGHT + 0.01
    assert sum(float(bar.height) for bar in bars) == pytest.approx(
        HEIGHT * sum(map(sum, values)) / top, abs=0.01 * len(bars) + 0.01
    )


def test_a_line_has_a_gap_where_nothing_is_known() -> None:
    lines = connected([50.0, None, None, 100.0, 75.0], 50, 100, "good")
    assert [line.points.count(",") for line in lines] == [2, 4]
    assert lines[0].points.startswith("40,100 ")
    assert lines[1].points.split()[0].endswith(",0")
    assert connected([None], 0, 1, "good") == ()


def test_plots_of_nothing_say_so() -> None:
    nothing = HourCounts()
    quota = QuotaLeft("key", "signer", b"\1" * 9, 0)
    said = [plot(nothing, NOW).summary for plot in (rate_plot, days_plot, yield_plot, failures_plot)]
    assert said == ["None was issued.", "None was issued.", "No board was finished in these hours.", "None failed."]
    assert burn_down_plot(quota, nothing, NOW).summary == "0 left. It is used up."


def test_a_quota_lasts_as_long_as_the_last_day_says() -> None:
    assert lasts(100, 50, NOW) == "At the rate of the last 24 hours it lasts until 23 Nov 2026, 10:00 UTC."
    assert lasts(100, 0, NOW) == "None was used in the last 24 hours."
    assert "ten years" in lasts(10**9, 1, NOW)


def test_what_was_left_is_reckoned_back_from_what_was_issued() -> None:
    hours, serial = HourCounts(), b"\1" * 9
    for back, number in ((0, 3), (1, 4), (30, 5)):
        hours.of(hour_of(NOW) - back).issued[serial] = number
    plot = burn_down_plot(QuotaLeft("key", "signer", serial, 100), hours, NOW)
    left = {row[0]: row[1] for row in plot.rows}
    assert left[f"{NOW:%d %b} 10:00"] == "100"
    assert left[f"{NOW - timedelta(days=1):%d %b} 10:00"] == "107"
    assert left[f"{NOW - timedelta(days=2):%d %b} 10:00"] == "112"


def test_hours_are_those_of_utc() -> None:
    assert list(hours_until(NOW, 2)) == [hour_of(NOW) - 1, hour_of(NOW)]
    assert begin_of(hour_of(NOW)) == NOW.replace(minute=0, second=0)


@pytest.mark.parametrize("step", [1, 7, 20_000])
def test_follower_counts_each_entry_once_in_steps_of_any_size(
    ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(ledger_follower, "STEP", step)
    follower = LedgerFollower(lambda: NOW)
    assert follower.follow(ledger).complete
    issued = fill(ledger, NOW, 20)
    while not (counted := follower.follow(ledger)).complete:
        pass
    day = counted.hours.together(hours_until(NOW, 24))
    assert day.certificates == day.issued[signer().serial] == issued
    assert day.fates.total() == sum(each.kind == "reported" for each in ledger.entries(0, 1000))
    assert follower.follow(ledger).hours.together(hours_until(NOW, 24)).certificates == issued


def test_follower_forgets_what_is_too_old_to_be_shown(ledger: SqlLedger) -> None:
    fill(ledger, NOW - timedelta(days=40), 20)
    assert LedgerFollower(lambda: NOW).follow(ledger).hours.together(range(hour_of(NOW) + 1)).certificates == 0
    times = [NOW - timedelta(days=40)]
    follower = LedgerFollower(lambda: times[0])
    assert follower.follow(ledger).hours.together(range(hour_of(NOW) + 1)).certificates > 0
    times[0] = NOW
    assert follower.follow(ledger).hours.together(range(hour_of(NOW) + 1)).certificates == 0


def test_alarms_that_stop_boards_come_first() -> None:
    board = AlarmBoard()
    states = (SignerState.LOW, SignerState.READY, SignerState.WAITING, SignerState.UNPLUGGED, SignerState.USED_UP)
    views = [SignerView(name=state, state=state, headline=state, remaining="4") for state in states]
    board.add(lambda: signer_alarms(views))
    board.add(lambda: health_alarms(Health("failing", Code.RECORDS_FAILED)))
    board.add(lambda: health_alarms(Health("ok")))
    board.add(lambda: health_alarms(Health("degraded", Code.FILE_UNWRITABLE)))
    board.add(lambda: warning_alarms([StandingWarning(Code.QUOTA_LOW, Subject.ORDERS, "Work order '7' has 1 left.")]))
    assert board.alarms()[-1] == Alarm(Urgency.SOON, "Work order '7' has 1 left.", "/orders")
    assert [alarm.urgency for alarm in board.alarms()] == [*[Urgency.STOPPED] * 3, Urgency.SOON]
    assert board.count() == 4


def test_a_question_that_fails_opens_the_ledger_again(tmp_path: Path) -> None:
    def broken(_: SqlLedger) -> None:
        raise UsageError("broken", code=Code.RECORDS_FAILED)

    with contextlib.closing(MemoryPages(tmp_path, now=NOW)) as pages:
        fill(pages.ledger, NOW, 4)
        assert pages.run(pages.parts.figures.refresh()).complete
        assert pages.reader._ledger is not None
        pages.reader._ledger.failed = True
        pages.parts.figures.expire()
        assert pages.run(pages.parts.figures.refresh()).complete
        with pytest.raises(UsageError, match="broken"):
            pages.run(pages.reader.ask(broken))
