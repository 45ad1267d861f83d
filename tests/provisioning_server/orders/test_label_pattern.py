"""Label patterns; the judge is Python's own `re`, wherever it may be asked."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import UsageError
from provisioning_server.orders.label_pattern import LONGEST_PATTERN, LabelPattern


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        ("LOT42-[0-9]{4}", ["LOT42-0001"], ["LOT42-001", "LOT42-00011", "xLOT42-0001", "LOT42-0001\n", ""]),
        (r"[A-Z]{2,3}\d+", ["AB1", "ABC123"], ["A1", "ABCD1", "AB", "AB1 "]),
        ("[a-f0-9:]*", ["", "00:ff", "a" * 64], ["a" * 65, "g"]),
        (r"\[\]\\?", ["[]", "[]\\"], ["[", "[]\\\\"]),
        ("X?Y{0,2}", ["", "X", "XYY"], ["YYY", "XX"]),
    ],
)
def test_whole_label_has_to_match(pattern: str, good: list[str], bad: list[str]) -> None:
    read = LabelPattern.parse(pattern)
    assert [label for label in good if not read.matches(label)] == []
    assert [label for label in bad if read.matches(label)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "(a+)+",
        "a|b",
        "^a$",
        ".",
        "[",
        "[]",
        "[z-a]",
        "[^a]",
        "a{2,1}",
        "a{65}",
        "a{",
        "a**",
        "\\w",
        "ä",
        "A B",
        "A" * 65,
    ],
)
def test_what_is_not_a_label_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"[Ll]abel pattern"):
        LabelPattern.parse(pattern)


def test_pattern_that_would_make_others_search_for_years_is_matched_at_once() -> None:
    pattern = LabelPattern.parse("[a-z]*" * 21 + "!")
    assert not pattern.matches("a" * 64)
    assert pattern.matches("a" * 63 + "!")


ATOMS = st.sampled_from(["a", "b", "[ab]", "[a-c]", r"\d", r"\.", "-", "[0-9-]"])
COUNTS = st.sampled_from(["", "", "?", "+", "*", "{2}", "{0,3}", "{1,2}"])
PATTERNS = st.lists(st.builds(str.__add__, ATOMS, COUNTS), min_size=1, max_size=5).map("".join)


@given(PATTERNS, st.text(alphabet="abc.0-1", max_size=9))
def test_same_labels_match_as_with_a_regular_expression(pattern: str, label: str) -> None:
    assert LabelPattern.parse(pattern).matches(label) == (re.fullmatch(pattern, label, re.ASCII) is not None)


@given(st.text(max_size=LONGEST_PATTERN + 5) | st.text(alphabet=r"a[]{}1,-\*+?", max_size=30), st.text(max_size=70))
def test_any_text_is_a_pattern_or_refused(pattern: str, label: str) -> None:
    try:
        read = LabelPattern.parse(pattern)
    except UsageError:
        return
    assert isinstance(read.matches(label), bool)
