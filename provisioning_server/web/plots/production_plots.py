"""The plots of the overview: how fast, how well, with which errors, and for how long a signer will last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from atcaprov.errors import Board
from provisioning_server.web.figures.hour_counts import FAILED, HourCount, HourCounts, begin_of, hour_of
from provisioning_server.web.plots.plot import Plot, connected, stacked, top_of
from provisioning_server.web.views import QuotaLeft

DAY_HOURS: Final = 24
DAYS: Final = 30
BURN_HOURS: Final = 7 * 24
FATE_NAMES: Final = {Board.RETRY: "tried again", Board.SET_ASIDE: "set aside", Board.SCRAP: "scrap"}
_YIELD_TICKS: Final = (0, 50, 80, 90, 98)
"""Where the axis of the yield may begin, in percent: the highest one below all values is taken."""


def hours_until(now: datetime, number: int) -> range:
    """Return the last hours, that of `now` included, oldest first."""
    last = hour_of(now)
    return range(last - number + 1, last + 1)


def rate_plot(hours: HourCounts, now: datetime) -> Plot:
    """Return the certificates of each of the last 24 hours."""
    wanted = hours_until(now, DAY_HOURS)
    values = [count.certificates for _, count in hours.each(wanted)]
    labels = [f"{begin_of(hour):%H:%M}" for hour in wanted]
    return _bars("rate", "Certificates per hour, last 24 hours", labels, values, "Hour (UTC)")


def days_plot(hours: HourCounts, now: datetime) -> Plot:
    """Return the certificates of each of the last 30 days."""
    midnight = hour_of(now.replace(hour=0, minute=0, second=0, microsecond=0))
    begins = [midnight - 24 * back for back in reversed(range(DAYS))]
    values = [hours.together(range(begin, begin + 24)).certificates for begin in begins]
    labels = [f"{begin_of(begin):%d %b}" for begin in begins]
    return _bars("days", "Certificates per day, last 30 days", labels, values, "Day (UTC)")


def yield_plot(hours: HourCounts, now: datetime) -> Plot:
    """Return the yield of each of the last 24 hours."""
    wanted = hours_until(now, DAY_HOURS)
    values = [count.yield_percent for _, count in hours.each(wanted)]
    known = [value for value in values if value is not None]
    bottom = max((tick for tick in _YIELD_TICKS if tick <= min(known, default=0)), default=0)
    labels = [f"{begin_of(hour):%H:%M}" for hour in wanted]
    lowest = f", lowest {percent(min(known))}" if known else ""
    whole = percent(hours.together(wanted).yield_percent)
    return Plot(
        key="yield",
        title="Yield per hour, last 24 hours",
        summary=f"Together {whole}{lowest}." if known else "No board was finished in these hours.",
        upright=("100 %", f"{(100 + bottom) / 2:g} %", f"{bottom} %"),
        along=_along(labels),
        head=("Hour (UTC)", "Yield"),
        rows=tuple((label, percent(value)) for label, value in zip(labels, values, strict=True)),
        lines=connected(values, bottom, 100, "good"),
    )


def failures_plot(hours: HourCounts, now: datetime) -> Plot:
    """Return the runs of each of the last 24 hours whose board was not good, by what became of it."""
    wanted = hours_until(now, DAY_HOURS)
    counts = [count for _, count in hours.each(wanted)]
    labels = [f"{begin_of(hour):%H:%M}" for hour in wanted]
    top = top_of([count.failed for count in counts])
    whole = sum(count.failed for count in counts)
    return Plot(
        key="failures",
        title="Failed runs per hour, last 24 hours",
        summary=f"{whole:,} failed." if whole else "None failed.",
        upright=_upright(top),
        along=_along(labels),
        head=("Hour (UTC)", *(FATE_NAMES[fate] for fate in FAILED)),
        rows=tuple(
            (label, *(f"{count.fates[fate]:,}" for fate in FAILED)) for label, count in zip(labels, counts, strict=True)
        ),
        bars=stacked([_failures(label, count) for label, count in zip(labels, counts, strict=True)], top),
        legend=tuple((str(fate), FATE_NAMES[fate]) for fate in FAILED),
    )


def burn_down_plot(quota: QuotaLeft, hours: HourCounts, now: datetime) -> Plot:
    """Return what was left of a quota in each of the last 7 days' hours."""
    wanted = hours_until(now, BURN_HOURS)
    made = [count.issued[quota.serial] for _, count in hours.each(wanted)]
    left = _left_after_each(quota.remaining, made)
    top = top_of(left)
    labels = [f"{begin_of(hour):%d %b %H:%M}" for hour in wanted]
    whole_days = range(len(wanted) - 1, -1, -24)
    return Plot(
        key=f"quota-{quota.key}",
        title=f"Certificates left, {quota.name} {quota.serial.hex().upper()}",
        summary=f"{quota.remaining:,} left. {lasts(quota.remaining, sum(made[-24:]), now)}",
        upright=_upright(top),
        along=(f"{begin_of(wanted[0]):%d %b}", f"{begin_of(wanted[len(wanted) // 2]):%d %b}", "now"),
        head=("Hour (UTC)", "Left"),
        rows=tuple((labels[place], f"{left[place]:,}") for place in reversed(whole_days)),
        lines=connected(left, 0, top, "quota"),
    )


def lasts(remaining: int, made_in_day: int, now: datetime) -> str:
    """Return for how long a quota lasts if it is used as in the last 24 hours."""
    if not remaining:
        return "It is used up."
    if not made_in_day:
        return "None was used in the last 24 hours."
    days = remaining / made_in_day
    if days > 3650:
        return "At the rate of the last 24 hours it lasts for more than ten years."
    return f"At the rate of the last 24 hours it lasts until {now + timedelta(days=days):%d %b %Y, %H:00} UTC."


def percent(value: float | None) -> str:
    """Return a share for people; 100 % means that none is missing."""
    if value is None:
        return "-"
    shown = f"{value:.1f}"
    return "99.9 %" if shown == "100.0" and value < 100 else f"{shown.removesuffix('.0')} %"


def _left_after_each(remaining: int, made: Sequence[int]) -> list[int]:
    """Return what was left at the end of each hour, when so many were made in it."""
    left, found = remaining, []
    for number in reversed(made):
        found.append(left)
        left += number
    return found[::-1]


def _failures(label: str, count: HourCount) -> list[tuple[str, int, str]]:
    return [
        (str(fate), count.fates[fate], f"{label}: {count.fates[fate]:,} {FATE_NAMES[fate]}")
        for fate in reversed(FAILED)
    ]


def _bars(key: str, title: str, labels: Sequence[str], values: Sequence[int], first: str) -> Plot:
    top = top_of(values)
    most = max(values)
    best = labels[values.index(most)]
    return Plot(
        key=key,
        title=title,
        summary=f"{sum(values):,} together, at most {most:,} ({best})." if most else "None was issued.",
        upright=_upright(top),
        along=_along(labels),
        head=(first, "Certificates"),
        rows=tuple((label, f"{value:,}") for label, value in zip(labels, values, strict=True)),
        bars=stacked(
            [[("issued", value, f"{label}: {value:,}")] for label, value in zip(labels, values, strict=True)], top
        ),
    )


def _upright(top: int) -> tuple[str, str, str]:
    return f"{top:,}", f"{top // 2:,}", "0"


def _along(labels: Sequence[str]) -> tuple[str, ...]:
    return labels[0], labels[len(labels) // 2], labels[-1]
