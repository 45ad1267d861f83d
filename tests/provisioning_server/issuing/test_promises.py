"""What is offered to a board before stage 1 is kept for it: no board is configured in vain."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning_server.issuing.promises import PROMISE_SECONDS, Promises
from tests.provisioning_server.issuing.test_order_rules import Shop, codes
from tests.support.ledgers import ledger_in

CHIPS = [bytes([number]) * 9 for number in range(8)]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        yield Shop(ledger)


def test_as_many_boards_begin_as_the_order_has_left(shop: Shop) -> None:
    shop.open(3)
    shop.ask(shop.request(1))
    replies = codes(shop.ask(*(shop.offer(number) for number in range(2, 8))))
    assert replies == ["", "", "server-busy", "server-busy", "server-busy", "server-busy"]
    assert codes(shop.ask(shop.offer(2), shop.request(2), shop.request(3))) == ["", "", ""]
    assert codes(shop.ask(shop.offer(4))) == ["order-full"]
    assert shop.issued == 3


def test_busy_board_is_told_when_to_ask_again(shop: Shop) -> None:
    shop.open(1)
    assert codes(shop.ask(shop.offer(1))) == [""]
    (reply,) = shop.ask(shop.offer(2))
    assert reply is not None
    assert getattr(reply, "retryable", False)
    assert getattr(reply, "retry_after", 0) > 0


def test_quota_is_promised_as_well(shop: Shop) -> None:
    shop.signer.remaining = 1
    assert codes(shop.ask(shop.offer(1, order=""), shop.offer(2, order=""), shop.offer(1, order=""))) == [
        "", "server-busy", "",
    ]  # fmt: skip


def test_board_that_is_removed_frees_its_place() -> None:
    clock = [0.0]
    promises = Promises(lambda: clock[0])
    assert promises.give(CHIPS[0], [("order", 1)])
    assert not promises.give(CHIPS[1], [("order", 1)])
    clock[0] += PROMISE_SECONDS / 2
    assert promises.give(CHIPS[0], [("order", 1)])
    clock[0] += PROMISE_SECONDS - 1
    assert not promises.give(CHIPS[1], [("order", 1)])
    clock[0] += 1
    assert promises.give(CHIPS[1], [("order", 1)])


def test_refused_board_holds_nothing() -> None:
    promises = Promises(lambda: 0.0)
    assert promises.give(CHIPS[0], [("unit", 1)])
    assert not promises.give(CHIPS[1], [("order", 1), ("unit", 1)])
    assert promises.give(CHIPS[2], [("order", 1)])
    promises.end(CHIPS[0])
    assert promises.give(CHIPS[1], [("unit", 1)])
    promises.end(CHIPS[5])


@given(st.lists(st.tuples(st.sampled_from(CHIPS), st.sampled_from(["a", "b", "ab", "end", "wait"]))))
def test_never_more_are_promised_than_there_are(acts: list[tuple[bytes, str]]) -> None:
    now = [0.0]
    promises = Promises(lambda: now[0])
    held: dict[bytes, tuple[float, str]] = {}
    for chip, act in acts:
        if act == "wait":
            now[0] += PROMISE_SECONDS / 3
        elif act == "end":
            promises.end(chip)
            held.pop(chip, None)
        else:
            held = {each: since for each, since in held.items() if since[0] + PROMISE_SECONDS > now[0]}
            held.pop(chip, None)
            free = all(sum(what in kept for _, kept in held.values()) < 2 for what in act)
            assert promises.give(chip, [(what, 2) for what in act]) is free
            if free:
                held[chip] = now[0], act
