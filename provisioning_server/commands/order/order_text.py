"""Work orders as lines for people and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from provisioning_server.ledger.store import WorkOrder
from provisioning_server.log_names import time_text
from provisioning_server.orders.work_orders import certificates_left, order_state

NOTHING = "-"


def order_fields(order: WorkOrder, now: datetime) -> dict[str, Any]:
    """Return an order as plain values."""
    opened = order.opened
    return {
        "order": opened.order,
        "state": order_state(order, now),
        "product": opened.product or None,
        "count": opened.count or None,
        "issued": order.issued,
        "left": certificates_left(order),
        "from": None if opened.begins is None else time_text(opened.begins),
        "until": None if opened.ends is None else time_text(opened.ends),
        "label_pattern": opened.label_pattern or None,
        "stations": list(opened.stations),
        "opened": time_text(opened.time),
        "by": opened.by or None,
    }


def order_line(order: WorkOrder, now: datetime) -> str:
    """Return one line: name, state, how many of how many, product."""
    opened = order.opened
    of = f"{order.issued}/{opened.count}" if opened.count else str(order.issued)
    return "\t".join((opened.order, order_state(order, now), of, opened.product or NOTHING))


def order_lines(order: WorkOrder, now: datetime) -> Iterator[str]:
    """Return what is known of an order, a line each."""
    for name, value in order_fields(order, now).items():
        text = ", ".join(value) if isinstance(value, list) else value
        yield f"{name.replace('_', ' ') + ':':15} {NOTHING if text in (None, '') else text}"
