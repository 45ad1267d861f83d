"""The text of an enrolment token: whole, or refused without quoting it."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import UsageError
from atcaprov.wire.enrolment_token import EnrolmentToken, token_hash
from atcaprov.wire.server_place import ServerPlace

SECRET = bytes(range(100, 132))
SERVERS = (ServerPlace("10.0.0.1", 11235), ServerPlace("::1", 5))
TOKEN = EnrolmentToken(bytes(range(32)), SECRET, SERVERS, datetime(2026, 12, 1, tzinfo=UTC), "line-1")


def test_token_is_one_line_that_is_read_back() -> None:
    text = str(TOKEN)
    assert "\n" not in text
    assert EnrolmentToken.parse(text) == TOKEN
    assert EnrolmentToken.parse(f"  {text[:50]}\n  {text[50:]}\n") == TOKEN, "as a mail or a terminal breaks it"


def test_secret_is_in_no_repr() -> None:
    assert repr(SECRET) not in repr(TOKEN)
    assert token_hash(SECRET) != SECRET


@pytest.mark.parametrize("text", ["", "hello", "atcaprov-station-", "atcaprov-station-AAAA", "atcaprov-station-!!!!"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        EnrolmentToken.parse(text)
    assert caught.value.code == "token-invalid"


@given(st.integers(0, len(str(TOKEN)) - 1), st.characters(codec="ascii"))
def test_one_wrong_character_is_noticed_and_the_secret_is_not_quoted(place: int, character: str) -> None:
    text = str(TOKEN)
    changed = text[:place] + character + text[place + 1 :]
    with contextlib.ExitStack() as stack:
        caught = stack.enter_context(pytest.raises(UsageError))
        if EnrolmentToken.parse(changed) == TOKEN:  # the last character has bits that mean nothing
            stack.pop_all()
            return
    assert caught.value.code == "token-invalid"
    assert text[40:60] not in str(caught.value)


@given(st.integers(0, len(str(TOKEN)) - 1))
def test_truncated_token_is_refused(size: int) -> None:
    with pytest.raises(UsageError):
        EnrolmentToken.parse(str(TOKEN)[:size])


@given(st.text(max_size=300))
def test_any_text_is_refused_with_one_error(text: str) -> None:
    for each in (text, f"atcaprov-station-{text}"):
        with pytest.raises(UsageError) as caught:
            EnrolmentToken.parse(each)
        assert caught.value.code == "token-invalid"
