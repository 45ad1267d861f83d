from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.product_profile.toml_lines import key_lines, line_of

TEXT = '''# a comment = "with a key"
name = "x"   # not = this

list = [
  "a", # comment ]
  "b = 1",
]
[chip]
config = "zone.toml"
title = """several
lines = 1
[not.a.table]
"""
inline = { a = 1, b = [1, 2] }
[certificate.subject]
"common_name" = 'x'
a.b = 1
'''


def test_each_key_has_its_line() -> None:
    assert key_lines(TEXT) == {
        "name": 2,
        "list": 4,
        "chip": 8,
        "chip.config": 9,
        "chip.title": 10,
        "chip.inline": 14,
        "certificate": 15,
        "certificate.subject": 15,
        "certificate.subject.common_name": 16,
        "certificate.subject.a": 17,
        "certificate.subject.a.b": 17,
    }


def test_key_of_an_inline_table_has_the_line_of_its_table() -> None:
    lines = key_lines(TEXT)
    assert line_of(lines, "chip.inline.b") == 14
    assert line_of(lines, "chip.missing") == 8
    assert line_of(lines, "missing") == 1


def paths(table: dict[str, object], prefix: str = "") -> list[str]:
    found = []
    for key, value in table.items():
        found.append(prefix + key)
        if isinstance(value, dict):
            found += paths(value, f"{prefix}{key}.")
    return found


@pytest.mark.slow
@given(st.text(max_size=300))
def test_any_text_is_looked_at(text: str) -> None:
    lines = key_lines(text)
    assert all(1 <= number <= text.count("\n") + 1 for number in lines.values())


VALUES = st.one_of(
    st.integers(0, 9).map(str),
    st.sampled_from(['"a # b"', "'['", '"""x\ny = 1\n"""', "[1,\n2] # ]", '[\n"a]",\n]', '"\\""', "true"]),
)


@pytest.mark.slow
@given(st.lists(st.tuples(st.from_regex("[a-z]{3,8}", fullmatch=True), VALUES), unique_by=lambda each: each[0]))
def test_line_is_where_the_key_is_written(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"{key} = {value}\n" for key, value in pairs)
    found = key_lines(text)
    assert list(found) == list(tomllib.loads(text))
    rows = text.split("\n")
    assert all(rows[number - 1].startswith(f"{key} = ") for key, number in found.items())
