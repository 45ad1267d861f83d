"""What runs out is said once, and shown as long as it lasts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from atcaprov import Code
from provisioning_server.ledger.administration import OrderOpened
from provisioning_server.ledger.store import WorkOrder
from provisioning_server.log_names import label
from provisioning_server.operations.standing_warnings import StandingWarnings, Subject
from provisioning_server.orders.quota_alarm import QuotaAlarm, RunningOut
from provisioning_server.signers.registry import SignerRegistry
from provisioning_server.signers.signer import SignatureCounter
from provisioning_server.web.health import HealthCheck
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.server_parts import RememberingLog

HOUR = timedelta(hours=1)


class Bench:
    """An alarm over signers and orders that a test changes."""

    def __init__(self, percent: int = 10) -> None:
        self.signer = MemorySigner()
        self.orders: list[WorkOrder] = []
        self.log = RememberingLog()
        registry = SignerRegistry([self.signer])
        self.alarm = QuotaAlarm(percent, lambda: registry, lambda: self.orders, lambda: NOW, self.log)
        self.warnings = StandingWarnings()
        self.warnings.add(Code.QUOTA_LOW, Subject.SIGNERS, lambda: self.alarm.sentences(orders=False))
        self.warnings.add(Code.QUOTA_LOW, Subject.ORDERS, lambda: self.alarm.sentences(orders=True))
        self.health = HealthCheck(registry, lambda _: None, self.warnings.now)

    def quota(self, used: int, left: int) -> None:
        self.signer.counter = SignatureCounter(32 + used, 32)
        self.signer.remaining = left

    def order(self, issued: int, closed: int | None = None, **changed: Any) -> None:
        self.orders = [WorkOrder(replace(OrderOpened(NOW, "2026-118", count=500), **changed), issued, closed)]

    def look(self) -> str:
        self.alarm.check()
        return self.health.look().code


def test_quota_is_said_once_and_shown_while_it_lasts() -> None:
    bench = Bench()
    bench.quota(899, 101)
    assert bench.look() == ""
    bench.quota(900, 100)
    assert [bench.look() for _ in range(3)] == ["quota-low"] * 3
    bench.quota(901, 99)
    assert bench.look() == "quota-low"
    name = label(bench.signer.serial, bench.signer.name)
    assert bench.log.lines == [f"warning: {name} has 100 certificates of 1000 left."]
    assert bench.alarm.running_out == (RunningOut(name, 99, 1000),)
    bench.quota(0, 1000)
    assert bench.look() == ""
    bench.quota(950, 50)
    bench.look()
    assert len(bench.log.lines) == 2


@pytest.mark.parametrize(
    ("issued", "changed", "code"),
    [
        (449, {}, ""),
        (450, {}, "quota-low"),
        (499, {}, "quota-low"),
        (500, {}, ""),
        (450, {"closed": 7}, ""),
        (450, {"begins": NOW + HOUR}, ""),
        (450, {"begins": NOW}, "quota-low"),
        (450, {"ends": NOW}, ""),
        (450, {"ends": NOW + HOUR}, "quota-low"),
        (450, {"count": 0}, ""),
        (1, {"count": 2}, ""),
    ],
)
def test_work_order_runs_out_while_something_is_left_of_it(issued: int, changed: dict[str, Any], code: str) -> None:
    bench = Bench()
    bench.order(issued, **changed)
    assert bench.look() == code


def test_threshold_is_the_operators() -> None:
    for percent, code in ((50, "quota-low"), (49, ""), (0, "")):
        bench = Bench(percent)
        bench.order(250)
        assert bench.look() == code
    assert Bench(0).warnings.now() == []


def test_signer_without_a_quota_does_not_run_out() -> None:
    bench = Bench(100)
    assert bench.look() == ""


def test_what_runs_out_stops_nothing() -> None:
    bench = Bench()
    bench.quota(999, 1)
    bench.look()
    assert bench.health.look().http_status == 200
