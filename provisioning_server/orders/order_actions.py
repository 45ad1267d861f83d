"""Open and close work orders: what the commands ask for is checked here, by the server or in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from atcaprov.bounded_reading import shown
from atcaprov.errors import Code, UsageError
from atcaprov.wire.messages import NAME_SIZE_MAX, PRODUCT_SIZE_MAX
from provisioning_server.ledger.actions import ActionPlace, PlannedAction
from provisioning_server.ledger.administer import Written
from provisioning_server.ledger.administration import OrderClosed, OrderOpened
from provisioning_server.ledger.changes import Event
from provisioning_server.ledger.store import Ledger
from provisioning_server.orders.label_pattern import LabelPattern

OPEN: Final = "order-open"
CLOSE: Final = "order-close"
COUNT_MAX: Final = 10**9
STATIONS_MAX: Final = 256
REASON_MAX: Final = 256


def open_order(arguments: Mapping[str, Any], place: ActionPlace) -> PlannedAction:
    """Plan to open an order that there never was; raises UsageError that says what is wrong with it."""
    opened = OrderOpened(
        place.now.replace(microsecond=0),
        _words(arguments, "order", NAME_SIZE_MAX),
        _words(arguments, "product", PRODUCT_SIZE_MAX, optional=True),
        _count(arguments.get("count", 0)),
        _moment(arguments, "begins"),
        _moment(arguments, "ends"),
        _words(arguments, "label_pattern", NAME_SIZE_MAX * 2, optional=True),
        _stations(arguments.get("stations", [])),
        place.by,
    )
    _check(opened)

    def decide(ledger: Ledger) -> Sequence[Event]:
        if ledger.administered.order(opened.order) is not None:
            raise _exists(opened.order)
        return [opened]

    def result(written: Written) -> dict[str, Any]:
        if written[0] is None:  # another server on the ledger was faster
            raise _exists(opened.order)
        return {"order": opened.order, "entry": written[0]}

    return PlannedAction(decide, result)


def close_order(arguments: Mapping[str, Any], place: ActionPlace) -> PlannedAction:
    """Plan to close an order; one that is closed already stays as it is. Raises UsageError."""
    name = _words(arguments, "order", NAME_SIZE_MAX)
    closed = OrderClosed(
        place.now.replace(microsecond=0), name, _words(arguments, "reason", REASON_MAX, optional=True), place.by
    )

    def decide(ledger: Ledger) -> Sequence[Event]:
        order = ledger.administered.order(name)
        if order is None:
            raise unknown_order(name)
        return [closed] if order.closed is None else []

    return PlannedAction(decide, lambda written: {"order": name, "closed": any(each is not None for each in written)})


def unknown_order(name: str) -> UsageError:
    """Return the error for an order that there is not."""
    return UsageError(
        f"There is no work order {shown(name)}.",
        advice="See 'provisioning-server order list --all'.",
        code=Code.ORDER_UNKNOWN,
    )


def _exists(name: str) -> UsageError:
    return UsageError(
        f"There is a work order {shown(name)} already; its name is never used again.", advice="Choose another name."
    )


def _check(opened: OrderOpened) -> None:
    if opened.label_pattern:
        LabelPattern.parse(opened.label_pattern)
    if opened.begins is not None and opened.ends is not None and opened.begins >= opened.ends:
        raise UsageError("The order ends before it begins.", advice="Correct --from and --until.")
    if opened.ends is not None and opened.ends <= opened.time:
        raise UsageError("The order has ended already.", advice="Correct --until; without an offset it is in UTC.")


def _words(arguments: Mapping[str, Any], name: str, most: int, *, optional: bool = False) -> str:
    value = arguments.get(name, "")
    if optional and value == "":
        return ""
    if not isinstance(value, str) or not value.isprintable() or not 1 <= len(value.encode()) <= most:
        raise UsageError(f"The {name.replace('_', ' ')} must be 1 to {most} bytes of printable text.")
    return value


def _count(value: Any) -> int:
    if type(value) is not int or not 0 <= value <= COUNT_MAX:
        raise UsageError(f"The count of an order is from 1 to {COUNT_MAX}.")
    return value


def _stations(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > STATIONS_MAX:
        raise UsageError(f"An order names at most {STATIONS_MAX} stations.")
    return tuple(dict.fromkeys(_words({"station": each}, "station", NAME_SIZE_MAX) for each in value))


def _moment(arguments: Mapping[str, Any], name: str) -> datetime | None:
    value = arguments.get(name)
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value).astimezone(UTC).replace(microsecond=0)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"The time when an order {name} is not one of ISO 8601.") from None
