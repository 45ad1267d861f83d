from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, ProtocolError
from atcaprov.wire.framing import HEADER_SIZE, Header


def test_the_documented_bytes() -> None:
    assert Header(0x01, 266).pack() == bytes.fromhex("41 50 01 01 00 00 01 0A")


@given(st.integers(0, 255), st.integers(0, 0xFFFFFFFF))
def test_parse_reads_what_pack_wrote(message_type: int, length: int) -> None:
    header = Header(message_type, length)
    assert Header.parse(header.pack()) == header


@given(st.binary(max_size=16) | st.binary(min_size=5, max_size=5).map(lambda rest: b"AP\x01" + rest))
def test_any_bytes_are_a_header_or_a_protocol_error(data: bytes) -> None:
    if len(data) == HEADER_SIZE and data.startswith(b"AP\x01"):
        assert Header.parse(data).pack() == data
        return
    with pytest.raises(ProtocolError) as caught:
        Header.parse(data)
    assert caught.value.code == Code.BAD_FRAME


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"GET / HT", "47 45 54 20"),
        (bytes.fromhex("4150020100000000"), "version 2"),
        (bytes.fromhex("41500101000000"), "not 7"),
    ],
)
def test_error_names_the_received_bytes(data: bytes, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        Header.parse(data)
