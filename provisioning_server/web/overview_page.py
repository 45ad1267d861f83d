"""The overview, which hangs on the wall: alarms, the numbers of the day, plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from atcaprov.terminal.printable import printable
from atcaprov.web.roles import Role
from provisioning_server.web.alarms import Alarm, Urgency
from provisioning_server.web.figures.hour_counts import hour_of, most_frequent
from provisioning_server.web.figures.ledger_follower import Counted
from provisioning_server.web.figures.page_figures import PageFigures
from provisioning_server.web.live_updates import LiveSigners, summary
from provisioning_server.web.plots.plot import Plot
from provisioning_server.web.plots.production_plots import (
    burn_down_plot,
    days_plot,
    failures_plot,
    hours_until,
    percent,
    rate_plot,
    yield_plot,
)
from provisioning_server.web.views import QuotaLeft
from provisioning_server.web.visits import Reception, Visit, VisitorRoute

CODES_SHOWN: Final = 8
QUOTAS_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class BigNumber:
    """A number that is read from afar."""

    name: str
    value: str
    state: str = ""
    """Of its colour: `alarm`, or nothing."""


class OverviewPage:
    """Shows how the production goes."""

    def __init__(
        self,
        reception: Reception,
        figures: PageFigures,
        live: LiveSigners,
        alarms: Callable[[], Sequence[Alarm]],
        quotas: Callable[[], Sequence[QuotaLeft]],
    ) -> None:
        self._reception = reception
        self._figures = figures
        self._live = live
        self._alarms = alarms
        self._quotas = quotas

    def routes(self) -> list[VisitorRoute]:
        """Return the routes."""
        return [VisitorRoute("/overview", Role.LOOK, self._overview)]

    async def _overview(self, visit: Visit) -> Response:
        self._live.look()
        counted = await self._figures.refresh()
        now = self._figures.now()
        return self._reception.page(
            "overview.html",
            visit,
            alarms=self._alarms(),
            numbers=self._numbers(counted),
            plots=self._plots(counted),
            codes=most_frequent(counted.hours.together(hours_until(now, 24)).codes, CODES_SHOWN),
            counting=not counted.complete and not self._figures.trouble,
            trouble=printable(self._figures.trouble),
            time=f"{now:%Y-%m-%d %H:%M} UTC",
        )

    def _numbers(self, counted: Counted) -> list[BigNumber]:
        now = self._figures.now()
        day = counted.hours.together(hours_until(now, 24))
        hour = counted.hours.together([hour_of(now)])
        ready = summary(self._live.views)
        return [
            BigNumber("Certificates this hour", f"{hour.certificates:,}"),
            BigNumber("Certificates in 24 hours", f"{day.certificates:,}"),
            BigNumber("Yield in 24 hours", percent(day.yield_percent)),
            BigNumber("Failed in 24 hours", f"{day.failed:,}"),
            BigNumber("Signers ready", ready.partition(" ready")[0], "alarm" if self._stopped() else ""),
        ]

    def _stopped(self) -> bool:
        return any(alarm.urgency == Urgency.STOPPED for alarm in self._alarms())

    def _plots(self, counted: Counted) -> list[Plot]:
        hours, now = counted.hours, self._figures.now()
        quotas = self._quotas()[:QUOTAS_SHOWN]
        return [
            rate_plot(hours, now),
            yield_plot(hours, now),
            failures_plot(hours, now),
            days_plot(hours, now),
            *(burn_down_plot(quota, hours, now) for quota in quotas),
        ]
