"""Work orders between requests and the ledger: counted once, offered before a chip is touched, ended in between."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from atcaprov.wire.messages import CertificatesReply, CertificatesRequest, ErrorReply, SignerReply, SignerRequest
from provisioning_server.issuing.authority import Authority
from provisioning_server.issuing.requests import ClientRequest, Reply, Request
from provisioning_server.ledger.administer import administer
from provisioning_server.ledger.administration import OrderClosed, OrderOpened
from provisioning_server.ledger.sql.sql_ledger import SqlLedger
from provisioning_server.signers.registry import SignerRegistry
from tests.support.in_memory_signer import NOW, MemorySigner
from tests.support.ledgers import ledger_in
from tests.support.server_parts import OTHER_KEY, RememberingLog, answer, chip_serial, key_of, request

ORDER = "2026-118"


class Shop:
    """An authority with one signer, and a work order in its ledger."""

    def __init__(self, ledger: SqlLedger, **options: Any) -> None:
        self.ledger = ledger
        self.now = NOW
        self.signer = MemorySigner()
        self.authority = Authority(
            SignerRegistry([self.signer]), ledger, RememberingLog(), lambda: self.now, server="a", **options
        )

    def open(self, count: int = 0, **changed: Any) -> None:
        opened = OrderOpened(NOW, ORDER, count=count, **changed)
        administer(self.ledger, lambda _: [opened])

    def close(self) -> None:
        administer(self.ledger, lambda _: [OrderClosed(self.now, ORDER, "done")])

    def ask(self, *requests: Request, station: str = "line-1") -> list[Reply | None]:
        return answer(self.authority, [ClientRequest(each, "192.0.2.7:1", station=station) for each in requests])

    def request(self, number: int, *, order: str = ORDER, **changed: Any) -> CertificatesRequest:
        return replace(request(self.signer, number, key=changed.pop("key", None)), order=order, **changed)

    def offer(self, number: int = 0, *, order: str = ORDER, **changed: Any) -> SignerRequest:
        chip = chip_serial(number) if number else b""
        return SignerRequest(self.signer.documents.signer_public_key, chip_serial=chip, order=order, **changed)

    @property
    def issued(self) -> int:
        order = self.ledger.administered.order(ORDER)
        assert order is not None
        return order.issued


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        yield Shop(ledger)


def codes(replies: list[Reply | None]) -> list[str]:
    return [reply.code if isinstance(reply, ErrorReply) else "" for reply in replies]


def test_order_gets_its_number_of_certificates_however_many_ask_at_once(shop: Shop) -> None:
    shop.open(3)
    assert sorted(codes(shop.ask(*(shop.request(number) for number in range(1, 9))))) == [""] * 3 + ["order-full"] * 5
    assert (shop.issued, shop.signer.signatures) == (3, 3)


def test_certificate_that_is_sent_again_is_not_counted_again(shop: Shop) -> None:
    shop.open(2)
    for _ in range(3):
        assert codes(shop.ask(shop.request(1), shop.request(1))) == ["", ""]
    assert shop.issued == 1
    assert codes(shop.ask(shop.request(2), shop.request(3))) == ["", "order-full"]


def test_offer_tells_what_is_left_of_the_order_or_the_quota(shop: Shop) -> None:
    shop.open(5)
    shop.ask(shop.request(1), shop.request(2))

    def left(**changed: Any) -> int:
        (reply,) = shop.ask(shop.offer(9, **changed))
        assert isinstance(reply, SignerReply)
        return reply.certificates_left

    assert left() == 3
    shop.signer.remaining = 2
    assert left() == 2
    assert left(order="") == 2
    shop.signer.remaining = 100
    assert left() == 3


def test_offer_is_refused_for_what_the_certificate_would_be(shop: Shop) -> None:
    shop.open(1, stations=("line-2",), label_pattern="GW-[0-9]{4}")
    for asked in (shop.offer(1), shop.request(1)):
        assert codes(shop.ask(asked)) == ["order-of-another-station"]
        assert codes(shop.ask(asked, station="line-2")) == ["label-refused"]
    asked = shop.request(1, label="GW-0001")
    assert codes(shop.ask(asked, station="line-2")) == [""]
    assert codes(shop.ask(shop.offer(2, label="GW-0002"), station="line-2")) == ["order-full"]
    assert shop.signer.signatures == 1


@pytest.mark.parametrize("end", ["closed", "full", "over", "unknown", "of another station"])
def test_board_that_has_its_certificate_is_finished_after_the_order_has_ended(shop: Shop, end: str) -> None:
    shop.open(1 if end == "full" else 9, ends=NOW + timedelta(hours=1), stations=("line-1",))
    (first,) = shop.ask(shop.request(1))
    assert isinstance(first, CertificatesReply)
    if end == "closed":
        shop.close()
    if end == "over":
        shop.now += timedelta(hours=2)
    order = "2026-999" if end == "unknown" else ORDER
    station = "repair" if end == "of another station" else "line-1"
    start, offer, again = shop.ask(
        shop.offer(order=order), shop.offer(1, order=order), shop.request(1, order=order), station=station
    )
    assert isinstance(start, SignerReply) == (end in ("closed", "full", "over"))
    assert isinstance(offer, SignerReply)
    assert again == first
    assert codes(shop.ask(shop.offer(2, order=order), shop.request(2, order=order), station=station))[0] != ""
    assert shop.signer.signatures == 1


def test_question_for_what_was_issued_before_needs_no_order(tmp_path: Path) -> None:
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        shop = Shop(ledger, require_order=True)
        existing = replace(shop.request(1, order=""), existing_only=True)
        assert codes(shop.ask(existing, shop.request(1, order=""))) == ["not-issued", "order-required"]
        assert codes(shop.ask(shop.offer(1, order=""))) == ["order-required"]
        shop.open()
        assert codes(shop.ask(shop.request(1))) == [""]
        assert codes(shop.ask(existing, shop.offer(1, order=""))) == ["", ""]


def test_order_that_ends_between_offer_and_request_makes_no_certificate(shop: Shop) -> None:
    shop.open(9)
    assert codes(shop.ask(shop.offer(1))) == [""]
    shop.close()
    (refused,) = shop.ask(shop.request(1))
    assert isinstance(refused, ErrorReply)
    assert refused.code == "order-closed"
    administer(shop.ledger, lambda _: [OrderOpened(NOW, "2026-119")])
    assert codes(shop.ask(shop.request(1, order="2026-119"))) == [""], "the board is finished under another order"
    assert shop.issued == 0


def test_new_key_of_a_chip_counts_as_a_new_certificate(tmp_path: Path) -> None:
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        shop = Shop(ledger, allow_rekey=True)
        shop.open(1)
        assert codes(shop.ask(shop.request(1), shop.request(1, key=OTHER_KEY))) == ["", "order-full"]
        assert shop.ledger.known([chip_serial(1)], []).of_chip(chip_serial(1))[-1].record.public_key == key_of(1)


def test_record_names_order_label_and_station(shop: Shop) -> None:
    shop.open(1)
    shop.ask(shop.request(1, label="GW-0001", product="gateway"))
    (stored,) = shop.ledger.known([chip_serial(1)], []).of_chip(chip_serial(1))
    origin = stored.record.origin
    assert (origin.order, origin.label, origin.product, origin.station) == (ORDER, "GW-0001", "gateway", "line-1")
