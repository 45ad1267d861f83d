"""The page of the stations: who is admitted, and when they were heard of last. An administrator may remove one."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from atcaprov.terminal.printable import printable
from atcaprov.web.roles import Role
from provisioning_server.web.acts import Acts
from provisioning_server.web.alarms import Alarm, Urgency
from provisioning_server.web.figures.administered_state import KnownStation
from provisioning_server.web.figures.page_figures import PageFigures
from provisioning_server.web.visits import Reception, Visit, VisitorRoute

SHOWN: Final = 500
WARNED_BEFORE: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class StationRow:
    """A station as printable texts; `query` is its name in an address."""

    name: str
    query: str
    status: str
    state: str
    last: str
    ends: str


class StationPages:
    """Shows the stations. `connected` returns the names of those that hold a connection now."""

    def __init__(
        self, reception: Reception, figures: PageFigures, acts: Acts, connected: Callable[[], Collection[str]]
    ) -> None:
        self._reception = reception
        self._figures = figures
        self._acts = acts
        self._connected = connected

    def routes(self) -> list[VisitorRoute]:
        """Return the routes."""
        return [
            VisitorRoute("/stations", Role.LOOK, self._list),
            VisitorRoute("/stations/remove", Role.ADMINISTER, self._ask),
            VisitorRoute("/stations/remove", Role.ADMINISTER, self._remove, "POST"),
        ]

    async def _list(self, visit: Visit) -> Response:
        counted = await self._figures.refresh()
        connected, now = self._connected(), self._figures.now()
        stations = counted.administered.stations
        rows = [self._row(each, each.name in connected, counted.last_of_station.get(each.name)) for each in stations]
        return self._reception.page(
            "stations.html",
            visit,
            rows=rows[:SHOWN],
            total=len(rows),
            number=sum(not each.removed for each in stations),
            time=f"{now:%Y-%m-%d %H:%M} UTC",
        )

    def _row(self, station: KnownStation, connected: bool, last: datetime | None) -> StationRow:
        now = self._figures.now()
        ended = station.ends is not None and station.ends <= now
        if station.removed:
            status, state = "Removed", "removed"
        elif station.admitted is None:
            status, state = "Invited", "invited"
        elif ended:
            status, state = "Certificate ended", "ended"
        else:
            status, state = ("Connected", "connected") if connected else ("Admitted", "admitted")
        heard = "now" if connected else ago(last, now)
        ends = f"{station.ends or station.invited_until:%Y-%m-%d}" if station.ends or station.invited_until else "-"
        return StationRow(printable(station.name), in_query(station.name), status, state, heard, ends)

    async def _ask(self, visit: Visit) -> Response:
        station = await self._station(visit)
        return self._reception.page(
            "confirm.html",
            visit,
            title=f"Remove station {printable(station.name)}",
            lines=[
                "Its connections are closed at once, and it gets no certificate any more.",
                "This cannot be undone: the station has to be invited and enrolled again.",
            ],
            button="Remove it",
            back="/stations",
            reasons={},
        )

    async def _remove(self, visit: Visit) -> Response:
        station = await self._station(visit)
        await self._acts.remove_station(station.name, visit.fields.get("note", ""), visit.who)
        self._figures.expire()
        return RedirectResponse("/stations", 303)

    async def _station(self, visit: Visit) -> KnownStation:
        name = visit.request.query_params.get("name", "")
        counted = await self._figures.refresh()
        for station in counted.administered.stations:
            if station.name == name and not station.removed:
                return station
        raise HTTPException(404, "There is no such station.")


def station_alarms(figures: PageFigures) -> list[Alarm]:
    """Return the stations whose certificate ends soon."""
    now = figures.now()
    return [
        Alarm(
            Urgency.SOON, f"The certificate of station {printable(each.name)} ends {each.ends:%Y-%m-%d}.", "/stations"
        )
        for each in figures.counted.administered.stations
        if not each.removed and each.ends is not None and now < each.ends <= now + WARNED_BEFORE
    ]


def ago(moment: datetime | None, now: datetime) -> str:
    """Return how long ago something was, in one unit."""
    if moment is None:
        return "-"
    minutes = max(0, int((now - moment).total_seconds()) // 60)
    for size, unit in ((24 * 60, "day"), (60, "hour"), (1, "minute")):
        if minutes >= size:
            number = minutes // size
            return f"{number} {unit}{'s' if number > 1 else ''} ago"
    return "just now"


def in_query(name: str) -> str:
    """Return a name as a value of a query."""
    return quote(name, safe="")
