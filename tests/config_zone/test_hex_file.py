from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.config_zone.forms.hex_text import read_hex_text
from atcaprov.config_zone.hex_file import format_hex, parse_hex
from tests.support.config_zones import MISTAKES, published

# As the guide prints it (Atmel-8970A section 3.5).
GUIDE = """\
00 00 00 00 00 00 00 00  00 00 00 00 00 00 01 00
C0 00 AA 00 8F 20 C4 44  87 20 C4 44 8F 0F 8F 8F
9F 8F 82 20 C4 44 C4 44  0F 0F 0F 0F 0F 0F 0F 0F
0F 0F 0F 0F FF FF FF FF  00 00 00 00 FF FF FF FF
00 00 00 00 FF FF FF FF  FF FF FF FF FF FF FF FF
FF FF FF FF 00 00 55 55  FF FF 00 00 00 00 00 00
33 00 5C 00 13 00 5C 00  3C 00 1C 00 1C 00 33 00
1C 00 1C 00 3C 00 3C 00  3C 00 3C 00 1C 00 3C 00
"""
ZONE = bytes.fromhex(GUIDE)

separators = st.sampled_from(
    [" ", "", "\t", "\n", "\r\n", "\r", ", ", ",\n", " # a comment, 0xZZ\n", "// C0\n", "; hm\n"]
)


def refusal(text: str, *, accept_112: bool = False) -> str:
    with pytest.raises(UsageError) as caught:
        parse_hex(text, accept_112=accept_112)
    assert caught.value.code == Code.CONFIG_ZONE_INVALID
    return caught.value.what


def assert_zone_or_refusal(text: str) -> None:
    try:
        found: bytes | str = parse_hex(text)
    except UsageError as error:
        found = error.code
    assert found == Code.CONFIG_ZONE_INVALID or len(found) == 128


def test_the_guide_is_read() -> None:
    assert parse_hex(GUIDE)[16:] == published("atmel8970-508a")[16:]


def test_the_guide_is_written_as_it_is_printed() -> None:
    assert format_hex(ZONE) == GUIDE


@given(st.binary(min_size=128, max_size=128))
def test_what_is_written_is_read(data: bytes) -> None:
    assert parse_hex(format_hex(data)) == data


@pytest.mark.slow
@given(st.data(), st.binary(min_size=128, max_size=128))
def test_spacing_prefixes_commas_and_comments_do_not_matter(data: st.DataObject, zone: bytes) -> None:
    text = "# first line\n"
    for byte in zone:
        separator = data.draw(separators)
        prefix = data.draw(st.sampled_from(["", "0x", "0X"])) if separator.strip(" ") or separator else ""
        digits = data.draw(st.sampled_from([f"{byte:02x}", f"{byte:02X}"]))
        text += separator + prefix + digits
    assert parse_hex(text) == zone


def test_bytes_may_run_together() -> None:
    assert parse_hex(ZONE.hex()) == ZONE
    assert parse_hex("0x" + ZONE.hex()) == ZONE


def test_byte_order_mark_is_ignored() -> None:
    assert parse_hex("\ufeff" + GUIDE) == ZONE


def test_each_byte_knows_its_line() -> None:
    places = read_hex_text("# comment\n\n" + GUIDE, accept_112=False).places
    assert [place.line for place in places] == [3 + byte // 16 for byte in range(128)]
    assert [place.column for place in places[:10]] == [1, 4, 7, 10, 13, 16, 19, 22, 26, 29]


def test_112_bytes_are_accepted_only_on_request() -> None:
    text = format_hex(ZONE[16:])
    assert "112 bytes" in refusal(text)
    found = read_hex_text(text, accept_112=True)
    assert found.data == bytes(16) + ZONE[16:]
    assert [place.line for place in found.places[:17]] == [0] * 16 + [1]
    assert parse_hex(GUIDE, accept_112=True) == ZONE


@pytest.mark.parametrize("count", [count for count in range(128) if count != 112])
def test_every_truncation_is_refused(count: int) -> None:
    for accept_112 in (False, True):
        assert f"holds {count} bytes" in refusal(ZONE[:count].hex(" "), accept_112=accept_112)


def test_a_short_file_says_where_it_ends() -> None:
    assert "ends after byte 15 at line 1, column 47" in refusal(GUIDE.splitlines()[0])


def test_a_long_file_says_where_it_is_too_long() -> None:
    message = refusal(GUIDE + "AA BB\n")
    assert "holds 130 bytes" in message
    assert "byte 128) stands at line 9, column 1" in message


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("C0 00 0G 00", "line 2, column 8: 'G' is not a hex digit (in byte 18)"),
        ("C0 00 AA 00 8F20Q4", "line 2, column 17: 'Q' is not a hex digit (in byte 22)"),
        ("C0 0", "line 2, column 4: '0' has an odd number of digits"),
        ("C0 0x", "line 2, column 4: '0x' has an odd number of digits"),
        ("C0 0xAA0", "line 2, column 4: '0xAA0' has an odd number of digits"),
        ("C0 0x0xAA", "line 2, column 7: 'x' is not a hex digit"),
        ("C0 \u0664\u0665", "line 2, column 4: '\u0664' is not a hex digit"),
        ("C0 -1", "line 2, column 4: '-' is not a hex digit"),
        ("{0xC0, 0x00}", "line 2, column 1: '{' is not a hex digit"),
    ],
)
def test_what_is_not_hex_is_refused_with_line_column_and_byte(line: str, place: str) -> None:
    text = GUIDE.splitlines()[0] + "\n" + line + "\n" + "\n".join(GUIDE.splitlines()[2:])
    assert place in refusal(text)


@given(st.text())
def test_garbage_ends_in_the_one_error(text: str) -> None:
    assert_zone_or_refusal(text)


@given(st.integers(0, len(GUIDE) - 1), st.integers(0, 6))
def test_one_flipped_bit_is_refused_or_still_a_zone(index: int, bit: int) -> None:
    assert_zone_or_refusal(GUIDE[:index] + chr(ord(GUIDE[index]) ^ 1 << bit) + GUIDE[index + 1 :])


@pytest.mark.parametrize(("name", "length"), [("adafruit-cfg-tls", 219), ("picowallet-config", 144)])
def test_published_tables_that_bricked_chips_are_found_by_their_length(name: str, length: int) -> None:
    message = refusal("\n".join(MISTAKES[name]["text"]))
    assert f"holds {length} bytes" in message
    assert "(byte 128) stands at line 9, column 1." in message
