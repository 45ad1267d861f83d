"""What a command asks the server to revoke, as it comes over the control channel: read back, or refused."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import AtcaProvError, ProtocolError
from provisioning_server.revocation.reasons import Reason
from provisioning_server.revocation.revoke import RevocationOrder
from provisioning_server.revocation.selection import Selection

BYTES = st.none() | st.binary(min_size=1, max_size=20)
TIMES = st.none() | st.datetimes(timezones=st.just(UTC))
SELECTIONS = st.builds(Selection, BYTES, BYTES, st.none() | st.text(max_size=20), TIMES, TIMES, BYTES, st.booleans())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)
FIELDS = st.sampled_from(["serial", "chip", "order", "since", "until", "signer", "unproven", "other"])


@given(SELECTIONS)
def test_a_selection_comes_back(selection: Selection) -> None:
    assert Selection.from_json(selection.to_json()) == selection


@given(st.dictionaries(FIELDS, JSON) | JSON)
def test_anything_else_is_refused(values: Any) -> None:
    with contextlib.suppress(ProtocolError):
        found = Selection.from_json(values)
        assert Selection.from_json(found.to_json()) == found


@given(st.dictionaries(st.sampled_from(["selection", "reason", "digest", "note"]), JSON))
def test_an_order_is_read_or_refused(values: dict[str, Any]) -> None:
    with contextlib.suppress(AtcaProvError):
        RevocationOrder.from_json(values)


def test_an_order_comes_back() -> None:
    order = RevocationOrder(Selection(chip=bytes(9)), Reason.SUPERSEDED, "00", "a note")
    assert RevocationOrder.from_json(order.to_json()) == order


@pytest.mark.parametrize("moment", ["2026-11-21", "2026-11-21T10:15:40"])
def test_a_time_without_its_offset_is_refused(moment: str) -> None:
    with pytest.raises(ProtocolError):
        Selection.from_json({**Selection().to_json(), "since": moment})
    assert datetime.fromisoformat(moment).tzinfo is None
