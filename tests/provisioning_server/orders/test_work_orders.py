"""Whether a work order allows a certificate, without a ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.wire.messages import CertificatesRequest, SignerRequest
from provisioning_server.ledger.administration import OrderOpened
from provisioning_server.ledger.store import WorkOrder
from provisioning_server.orders.work_orders import OrderRules, certificates_left
from tests.support.in_memory_signer import NOW
from tests.support.numbered_chips import chip_serial
from tests.support.wire_examples import REQUEST, SIGNER_REQUEST

HOUR = timedelta(hours=1)
OPENED = OrderOpened(
    NOW, "2026-118", "gateway", 500, NOW - HOUR, NOW + HOUR, "GW-[0-9]{4}", ("line-1", "line-2"), "Example"
)
ORDER = WorkOrder(OPENED, 20)
ASKED = replace(REQUEST, order="2026-118", product="gateway", label="GW-0001")


def _refusal(
    order: WorkOrder | None,
    request: CertificatesRequest | SignerRequest = ASKED,
    station: str = "line-1",
    now: datetime = NOW,
    **options: Any,
) -> str:
    """Return the code of a refusal; empty if there is none. Each names the order and says what to do."""
    rules = OrderRules({order.opened.order: order}.get if order else lambda _: None, lambda: now, **options)
    refused = rules.refusal(request, station, request.product)
    if refused is None:
        return ""
    assert refused.retryable == (refused.code == "order-not-begun")
    assert request.order in refused.message
    assert refused.message.count(". ") <= 2
    assert any(word in refused.message for word in ("--order", "--label", "order list", "Wait until"))
    return refused.code


def _order(issued: int = 20, closed: int | None = None, **changed: Any) -> WorkOrder:
    return WorkOrder(replace(OPENED, **changed), issued, closed)


@pytest.mark.parametrize(
    ("order", "code"),
    [
        (ORDER, ""),
        (None, "order-unknown"),
        (_order(closed=7), "order-closed"),
        (_order(begins=NOW), ""),
        (_order(begins=NOW + timedelta(seconds=1)), "order-not-begun"),
        (_order(ends=NOW), "order-expired"),
        (_order(begins=None, ends=None), ""),
        (_order(499), ""),
        (_order(500), "order-full"),
        (_order(600), "order-full"),
        (_order(10**9, count=0), ""),
        (_order(stations=("line-2",)), "order-of-another-station"),
        (_order(stations=()), ""),
        (_order(product="sensor"), "order-of-another-product"),
        (_order(product=""), ""),
        (_order(label_pattern="SN-[0-9]+"), "label-refused"),
        (_order(label_pattern=""), ""),
    ],
)
def test_order_allows_what_it_is_for(order: WorkOrder | None, code: str) -> None:
    assert _refusal(order) == code


@pytest.mark.parametrize(
    ("request_", "station", "code"),
    [
        (replace(ASKED, product=""), "line-1", "order-of-another-product"),
        (replace(ASKED, label=""), "line-1", "label-refused"),
        (replace(ASKED, label="GW-00011"), "line-1", "label-refused"),
        (replace(ASKED, label="GW-0001 "), "line-1", "label-refused"),
        (ASKED, "line-3", "order-of-another-station"),
        (ASKED, "", "order-of-another-station"),
        (ASKED, "Line-1", "order-of-another-station"),
    ],
)
def test_station_is_told_what_does_not_fit(request_: CertificatesRequest, station: str, code: str) -> None:
    assert _refusal(ORDER, request_, station) == code


def test_station_that_starts_without_a_board_needs_no_label_yet() -> None:
    offer = replace(SIGNER_REQUEST, order="2026-118", product="gateway")
    assert _refusal(ORDER, offer) == ""
    assert _refusal(ORDER, replace(offer, chip_serial=chip_serial(1))) == "label-refused"


@pytest.mark.parametrize(("required", "code"), [(False, ""), (True, "order-required")])
def test_orders_can_be_compulsory(required: bool, code: str) -> None:
    assert _refusal(ORDER, replace(ASKED, order=""), required=required) == code
    assert _refusal(ORDER, required=required) == ""


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_clock_that_steps_changes_nothing_but_the_time_of_the_order(now: datetime) -> None:
    now = now.replace(tzinfo=NOW.tzinfo)
    assert OPENED.begins is not None
    assert OPENED.ends is not None
    expected = "order-not-begun" if now < OPENED.begins else "order-expired" if now >= OPENED.ends else ""
    assert _refusal(ORDER, now=now) == expected


@pytest.mark.parametrize(("count", "issued", "left"), [(500, 20, 480), (500, 500, 0), (500, 501, 0), (0, 20, None)])
def test_what_is_left_of_an_order(count: int, issued: int, left: int | None) -> None:
    assert certificates_left(_order(issued, count=count)) == left


def test_longest_names_fit_into_a_reply() -> None:
    order = _order(order="o" * 64, label_pattern="[A-Z]" * 25)
    assert _refusal(order, replace(ASKED, order="o" * 64, label="\u20ac" * 21)) == "label-refused"
