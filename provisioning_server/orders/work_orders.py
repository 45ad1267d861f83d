"""Whether a work order allows a certificate: it is open, for this station and product, and has some left.

These rules decide twice: before a station touches a chip, and when the chip's key asks for its certificate. A board
that has its certificate already is none of theirs: it is finished also when its order has ended meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from atcaprov.errors import Code
from atcaprov.wire.messages import CertificatesRequest, ErrorReply, SignerRequest
from provisioning_server.ledger.store import WorkOrder
from provisioning_server.orders.label_pattern import LabelPattern
from provisioning_server.rejections import moment, rejected

Asked = CertificatesRequest | SignerRequest


class OrderRules:
    """Decides by the work orders as they are now; `find` returns one by its name, `now` the time in UTC."""

    def __init__(
        self, find: Callable[[str], WorkOrder | None], now: Callable[[], datetime], *, required: bool = False
    ) -> None:
        """With `required` nothing is issued without an order."""
        self._find = find
        self._now = now
        self._required = required

    def refusal(self, request: Asked, station: str, product: str) -> ErrorReply | None:
        """Return why a new certificate of a product is not issued for what a station asks; None if it is."""
        if not request.order:
            return _required() if self._required else None
        order = self._find(request.order)
        if order is None:
            return rejected(Code.ORDER_UNKNOWN, f"There is no work order '{request.order}'. {_LISTED}")
        fits = _of_another_station(order, station) or _of_another_product(order, product)
        if not _has_board(request):  # the first board may be one that was cut: its certificate is sent again
            return fits
        return _ended(order, self._now()) or fits or _label_refused(order, request.label)

    def left(self, name: str) -> int | None:
        """Return how many certificates an order has left; None if it has no limit, or there is no such order."""
        order = self._find(name) if name else None
        return None if order is None else certificates_left(order)


def certificates_left(order: WorkOrder) -> int | None:
    """Return how many certificates are left of an order; None if it has no limit."""
    return max(0, order.opened.count - order.issued) if order.opened.count else None


ENDED: Final = frozenset({"closed", "over", "done"})
"""States of an order in which nothing more is issued for it."""


def order_state(order: WorkOrder, now: datetime) -> str:
    """Return `open`, `not begun`, `closed`, `over` (its time has ended) or `done` (no certificate is left)."""
    opened = order.opened
    if order.closed is not None:
        return "closed"
    if opened.ends is not None and now >= opened.ends:
        return "over"
    if certificates_left(order) == 0:
        return "done"
    return "not begun" if opened.begins is not None and now < opened.begins else "open"


_LISTED: Final = "See 'provisioning-server order list'."
_ANOTHER: Final = "Name another one with --order."


def _has_board(request: Asked) -> bool:
    """Return whether it is for a board; a station that starts has none yet, and no label."""
    return isinstance(request, CertificatesRequest) or bool(request.chip_serial)


def _required() -> ErrorReply:
    return rejected(Code.ORDER_REQUIRED, "This server issues for work orders only. Name one with --order.")


def _ended(order: WorkOrder, now: datetime) -> ErrorReply | None:
    opened, name = order.opened, f"ork order '{order.opened.order}'"
    if order.closed is not None:
        return rejected(Code.ORDER_CLOSED, f"W{name} is closed. {_ANOTHER}")
    if opened.begins is not None and now < opened.begins:
        begins = f"W{name} begins on {moment(opened.begins)}. Wait until then."
        return rejected(Code.ORDER_NOT_BEGUN, begins, retryable=True)
    if opened.ends is not None and now >= opened.ends:
        return rejected(Code.ORDER_EXPIRED, f"W{name} ended on {moment(opened.ends)}. {_ANOTHER}")
    if certificates_left(order) == 0:
        return rejected(Code.ORDER_FULL, f"W{name} is complete: {opened.count} of {opened.count} issued. {_ANOTHER}")
    return None


def _of_another_station(order: WorkOrder, station: str) -> ErrorReply | None:
    if not order.opened.stations or station in order.opened.stations:
        return None
    who = f"station '{station}'" if station else "a station without a certificate"
    what = f"Work order '{order.opened.order}' is not for {who}."
    return rejected(Code.ORDER_OF_ANOTHER_STATION, f"{what} {_ANOTHER}")


def _of_another_product(order: WorkOrder, product: str) -> ErrorReply | None:
    if not order.opened.product or product == order.opened.product:
        return None
    asked = f"makes '{product}'" if product else "does not say what it makes"
    what = f"Work order '{order.opened.order}' is for '{order.opened.product}', and the station {asked}."
    return rejected(
        Code.ORDER_OF_ANOTHER_PRODUCT, f"{what} Name the right one with --product, or another order with --order."
    )


def _label_refused(order: WorkOrder, label: str) -> ErrorReply | None:
    pattern = order.opened.label_pattern
    if not pattern or LabelPattern.parse(pattern).matches(label):
        return None
    what = f"The label '{label}' does not match" if label else "The board has no label, which must match"
    wanted = f"'{pattern}' of work order '{order.opened.order}'"
    return rejected(Code.LABEL_REFUSED, f"{what} {wanted}. Read the label again, and give it with --label.")
