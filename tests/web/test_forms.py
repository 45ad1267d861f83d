from __future__ import annotations

import contextlib
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.web.forms import FIELDS_MAX, parse_form

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


@given(st.dictionaries(texts.filter(bool), texts, min_size=1, max_size=FIELDS_MAX))
def test_what_a_browser_sends_comes_back(fields: dict[str, str]) -> None:
    assert parse_form(urlencode(fields).encode()) == fields


@pytest.mark.slow
@given(st.binary(max_size=200) | st.text("ab=&%+;0F2ec", max_size=60).map(str.encode))
def test_garbage_is_a_form_or_a_typed_error(body: bytes) -> None:
    with contextlib.suppress(UsageError):
        parse_form(body)


@pytest.mark.parametrize(
    "body", [b"a=1&a=2", b"a=1&b=2&c=3&d=4&e=5", b"a", b"password=%ff", "password=ü".encode(), b"a=1&&b=2"]
)
def test_malformed_form_is_refused_and_not_quoted(body: bytes) -> None:
    with pytest.raises(UsageError) as caught:
        parse_form(body)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert caught.value.code == Code.REQUEST_INVALID
    assert "password" not in str(caught.value)


@pytest.mark.slow
@given(st.dictionaries(texts.filter(bool), texts, min_size=1, max_size=3), st.data())
def test_a_form_that_was_cut_or_changed_ends_in_a_typed_error_at_worst(
    fields: dict[str, str], data: st.DataObject
) -> None:
    body = bytearray(urlencode(fields).encode())
    position = data.draw(st.integers(0, len(body) - 1))
    body[position] ^= 1 << data.draw(st.integers(0, 7))
    for each in (bytes(body), bytes(body[:position])):
        with contextlib.suppress(UsageError):
            parse_form(each)
