"""The page of the work orders: how far each is. An administrator may close one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from atcaprov.terminal.printable import printable
from atcaprov.web.roles import Role
from provisioning_server.ledger.store import WorkOrder
from provisioning_server.web.acts import Acts
from provisioning_server.web.alarms import Alarm, Urgency
from provisioning_server.web.certificate_views import minute
from provisioning_server.web.figures.page_figures import PageFigures
from provisioning_server.web.station_pages import in_query
from provisioning_server.web.visits import Reception, Visit, VisitorRoute

SHOWN: Final = 200
WARNED_BEFORE: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class OrderRow:
    """A work order as printable texts; `query` is its name in an address; without a limit `most` is 0."""

    name: str
    query: str
    product: str
    status: str
    state: str
    issued: str
    done: int
    most: int
    begins: str
    ends: str


class OrderPages:
    """Shows the work orders, open ones first, then the newest."""

    def __init__(self, reception: Reception, figures: PageFigures, acts: Acts) -> None:
        self._reception = reception
        self._figures = figures
        self._acts = acts

    def routes(self) -> list[VisitorRoute]:
        """Return the routes."""
        return [
            VisitorRoute("/orders", Role.LOOK, self._list),
            VisitorRoute("/orders/close", Role.ADMINISTER, self._ask),
            VisitorRoute("/orders/close", Role.ADMINISTER, self._close, "POST"),
        ]

    async def _list(self, visit: Visit) -> Response:
        counted = await self._figures.refresh()
        now = self._figures.now()
        orders = list(reversed(counted.administered.orders))
        orders.sort(key=lambda each: each.closed is not None)
        return self._reception.page(
            "orders.html", visit, rows=[_row(each, now) for each in orders[:SHOWN]], total=len(orders)
        )

    async def _ask(self, visit: Visit) -> Response:
        order = await self._order(visit)
        return self._reception.page(
            "confirm.html",
            visit,
            title=f"Close work order {printable(order.opened.order)}",
            lines=["No certificate is issued for it any more.", "This cannot be undone: open another order then."],
            button="Close it",
            back="/orders",
            reasons={},
        )

    async def _close(self, visit: Visit) -> Response:
        order = await self._order(visit)
        await self._acts.close_order(order.opened.order, visit.fields.get("note", ""), visit.who)
        self._figures.expire()
        return RedirectResponse("/orders", 303)

    async def _order(self, visit: Visit) -> WorkOrder:
        name = visit.request.query_params.get("name", "")
        counted = await self._figures.refresh()
        for order in counted.administered.orders:
            if order.opened.order == name and order.closed is None:
                return order
        raise HTTPException(404, "There is no such open work order.")


def order_alarms(figures: PageFigures) -> list[Alarm]:
    """Return open work orders that are complete, or end soon."""
    now, found = figures.now(), []
    for order in figures.counted.administered.orders:
        name = printable(order.opened.order)
        if order.closed is not None:
            continue
        ends = order.opened.ends
        if order.opened.count and order.issued >= order.opened.count:
            found.append(Alarm(Urgency.SOON, f"Work order {name} is complete: close it, or open the next.", "/orders"))
        elif ends is not None and now < ends <= now + WARNED_BEFORE:
            found.append(Alarm(Urgency.SOON, f"Work order {name} ends {minute(ends)} UTC.", "/orders"))
    return found


def _row(order: WorkOrder, now: datetime) -> OrderRow:
    opened = order.opened
    status, state = _status(order, now)
    of = f" of {opened.count:,}" if opened.count else ""
    return OrderRow(
        name=printable(opened.order),
        query=in_query(opened.order),
        product=printable(opened.product) or "any",
        status=status,
        state=state,
        issued=f"{order.issued:,}{of}",
        done=min(order.issued, opened.count),
        most=opened.count,
        begins=minute(opened.begins) if opened.begins else "-",
        ends=minute(opened.ends) if opened.ends else "-",
    )


def _status(order: WorkOrder, now: datetime) -> tuple[str, str]:
    opened = order.opened
    if order.closed is not None:
        return "Closed", "removed"
    if opened.count and order.issued >= opened.count:
        return "Complete", "ended"
    if opened.begins is not None and now < opened.begins:
        return "Not begun", "invited"
    if opened.ends is not None and now >= opened.ends:
        return "Time is over", "ended"
    return "Open", "connected"
