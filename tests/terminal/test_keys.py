from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov.terminal.keys import ESC_WAIT_SECONDS, Key, KeyDecoder, KeyPress
from atcaprov.terminal.line import Line

ARROW = b"\x1b[A"
SEQUENCES = [ARROW, b"\x1bOP", b"\x1b[15~", b"\x1b[1;5C", b"\x1b[200~", b"\x1bb", b"\x1b\x1b[D", b"\x1b[<0;3;4M"]


def _keys(*pieces: bytes, gap: float = 0.0) -> list[Key | str]:
    """Feed the pieces `gap` seconds apart, then wait; return keys, with TEXT as its text."""
    decoder = KeyDecoder()
    now = 100.0
    presses: list[KeyPress] = []
    for piece in pieces:
        presses += decoder.feed(piece, now)
        now += gap
    presses += decoder.expire(now + 1)
    return [press.text if press.key is Key.TEXT else press.key for press in presses]


def test_lone_esc_counts_only_after_its_waiting_time() -> None:
    decoder = KeyDecoder()
    assert decoder.feed(b"\x1b", 10.0) == []
    assert decoder.deadline == 10.0 + ESC_WAIT_SECONDS
    assert decoder.expire(10.0 + ESC_WAIT_SECONDS - 0.001) == []
    assert decoder.expire(10.0 + ESC_WAIT_SECONDS) == [KeyPress(Key.ESC)]
    assert decoder.deadline is None
    assert decoder.expire(11.0) == []


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_escape_sequence_is_ignored_however_it_is_cut(sequence: bytes) -> None:
    assert _keys(sequence) == []
    assert _keys(*(bytes([byte]) for byte in sequence), gap=0.001) == []
    assert _keys(sequence + b"x") == ["x"]


def test_unfinished_sequence_is_dropped_and_is_not_esc() -> None:
    assert _keys(b"\x1b[1;", b"x", gap=0.2) == ["x"]


def test_esc_after_esc_is_esc() -> None:
    assert _keys(b"\x1b\x1b") == [Key.ESC]
    assert _keys(b"\x1b", b"\x1b", gap=0.2) == [Key.ESC, Key.ESC]


def test_esc_then_later_text() -> None:
    assert _keys(b"\x1b", b"[A", gap=0.2) == [Key.ESC, "[A"]


def test_esc_then_enter_read_together_are_both_kept() -> None:
    assert _keys(b"\x1b\r") == [Key.ESC, Key.ENTER]


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_enter_is_one_key_in_each_form(end: bytes) -> None:
    assert _keys(b"AB 12" + end) == ["AB 12", Key.ENTER]
    assert _keys(end + end) == [Key.ENTER, Key.ENTER]


def test_named_keys() -> None:
    assert _keys(b"\x03\x04\x7f\x08\x15\x00\x01") == [Key.INTERRUPT, Key.END, Key.BACKSPACE, Key.BACKSPACE, Key.CLEAR]


def test_multibyte_character_may_be_cut() -> None:
    assert _keys("ä€".encode()) == ["ä€"]
    assert "".join(str(key) for key in _keys(*(bytes([byte]) for byte in "ä€".encode()))) == "ä€"


def test_repr_does_not_show_typed_text() -> None:
    assert "secret" not in repr(KeyPress(Key.TEXT, "secret"))


@given(st.lists(st.binary(max_size=20), max_size=5), st.sampled_from([0.0, 0.2]))
def test_any_bytes_decode(pieces: list[bytes], gap: float) -> None:
    assert all(key != "" for key in _keys(*pieces, gap=gap))


def _typed(*keys: Key | str) -> str | None:
    line = Line()
    lines = [line.press(KeyPress(Key.TEXT, key) if isinstance(key, str) else KeyPress(key)) for key in keys]
    assert all(entry is None for entry in lines[:-1])
    return lines[-1]


def test_line_can_be_corrected() -> None:
    assert _typed("secrey", Key.BACKSPACE, "t", Key.ENTER) == "secret"
    assert _typed("wrong", Key.CLEAR, "right", Key.ENTER) == "right"
    assert _typed(Key.BACKSPACE, Key.ENTER) == ""
    assert _typed("a", Key.ESC, "b", Key.ENTER) == "ab"


def test_line_is_bounded_and_starts_over_after_enter() -> None:
    line = Line()
    line.press(KeyPress(Key.TEXT, "x" * 5000))
    assert line.press(KeyPress(Key.ENTER)) == "x" * 1024
    assert line.press(KeyPress(Key.ENTER)) == ""
