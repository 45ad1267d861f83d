"""No form reads a damaged file silently as another zone: what it says twice is checked, and nothing ever moves."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import UsageError
from atcaprov.config_zone.forms.table import read_text
from tests.config_zone.forms.test_forms import FORMS, ZONE

CHARACTERS = st.sampled_from("0123456789abcdefABCDEFxX:;,|[]{}().-=# \n\t~") | st.characters(codec="utf-8")
TEXTS = {name: write() for name, (write, _) in FORMS.items()}
CHECKSUMMED = {"Intel HEX"}
WITH_CHARACTERS = {"xxd", "xxd -g 1", "xxd -e", "hexdump -C", "od -A x -t x1z", "i2cdump", "certutil -encodehex"}


def outcome(text: str, *, accept_112: bool = False) -> bytes | None:
    """Return the bytes; None for the one typed error. Any other exception fails the test."""
    try:
        return read_text(text, accept_112=accept_112).data
    except UsageError:
        return None


def differences(found: bytes) -> list[int]:
    return [byte for byte in range(128) if found[byte] != ZONE[byte]]


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=30)
@given(data=st.data())
def test_one_changed_character_never_moves_a_byte(name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    at = data.draw(st.integers(0, len(text) - 1))
    found = outcome(text[:at] + data.draw(CHARACTERS) + text[at + 1 :])
    if found is None:
        return
    changed = differences(found)
    assert len(changed) <= 1
    if name in CHECKSUMMED:
        assert not changed
    if name in WITH_CHARACTERS and changed:
        shown = [0x20 <= zone[changed[0]] < 0x7F for zone in (ZONE, found)]
        assert shown == [False, False], "the column of characters shows any other change"


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=15)
@given(data=st.data())
def test_a_truncated_file_is_refused_or_whole(name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    found = outcome(text[: data.draw(st.integers(0, len(text)))])
    assert found is None or len(differences(found)) <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=15)
@given(data=st.data())
def test_a_lost_or_doubled_piece_is_refused_or_changes_nothing(name: str, data: st.DataObject) -> None:
    text = TEXTS[name]
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, min(len(text), start + 40)))
    for damaged in (text[:start] + text[end:], text[:end] + text[start:]):
        found = outcome(damaged)
        assert found is None or len(differences(found)) <= 1


@given(st.text(max_size=300), st.booleans())
def test_garbage_ends_in_the_one_error(text: str, accept_112: bool) -> None:
    outcome(text, accept_112=accept_112)


@given(
    st.lists(st.sampled_from(["00:", "[1]", "=", "0x1", "C0", "{", "}", ",", "*", "\n", "|", "  ", "-", "b'", "'"])),
    st.booleans(),
)
def test_pieces_of_forms_end_in_the_one_error(pieces: list[str], accept_112: bool) -> None:
    outcome(" ".join(pieces), accept_112=accept_112)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        "/*",
        "{",
        "b'",
        "<<",
        "fromhex('",
        "0:",
        "00: 00 ",
        "[0] = ",
        "00000000: ",
        "*\n",
        "00 ",
        "0x",
        "{" + "0," * 16 + "}",
        "|",
    ],
)
def test_hostile_files_of_great_size_come_to_an_end(piece: str) -> None:
    assert outcome(piece * (60_000 // len(piece))) is None
    assert outcome("00000000: " + piece * (60_000 // len(piece)) + " z") is None
