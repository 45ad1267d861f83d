from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atcaprov import Code, UsageError
from atcaprov.transparency.tile_files import MAX_ENTRY, TilePath, pack_bundle, unpack_bundle, widths


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (TilePath(0, 0), "tile/0/000"),
        (TilePath(3, 1_234_067), "tile/3/x001/x234/067"),  # the example of tlog-tiles
        (TilePath(0, 273, 112), "tile/0/273.p/112"),
        (TilePath(None, 1000, 1), "tile/entries/x001/000.p/1"),
    ],
)
def test_documented_paths(path: TilePath, text: str) -> None:
    assert str(path) == text
    assert TilePath.parse(text) == path


@given(st.none() | st.integers(0, 63), st.integers(0, 1 << 55), st.integers(1, 256))
def test_path_reads_what_it_writes(level: int | None, number: int, width: int) -> None:
    assert TilePath.parse(str(TilePath(level, number, width))) == TilePath(level, number, width)


@pytest.mark.parametrize(
    "text",
    [
        "tile/64/000",
        "tile/00/000",
        "tile/0/00",
        "tile/0/x000/001",
        "tile/0/x001/1",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/../000",
        "/tile/0/000",
        "tile/8/0/000",
        "tile/0/" + "x001/" * 2000 + "000",
    ],
)
def test_other_paths_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        TilePath.parse(text)
    assert caught.value.code == Code.LOG_INVALID


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (70_000, [(273, 112), (1, 17), (0, 1)]),  # the example of tlog-tiles
        (256, [(1, 0), (0, 1)]),
    ],
)
def test_documented_widths(size: int, expected: list[tuple[int, int]]) -> None:
    assert [widths(size, level) for level in range(len(expected))] == expected


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=256))
def test_bundle_reads_what_it_packs(entries: list[bytes]) -> None:
    assert unpack_bundle(pack_bundle(entries)) == entries


def test_bundle_limits() -> None:
    assert unpack_bundle(pack_bundle([bytes(MAX_ENTRY)])) == [bytes(MAX_ENTRY)]
    with pytest.raises(UsageError, match="more than 65535"):
        pack_bundle([bytes(MAX_ENTRY + 1)])
    for damaged in (b"", bytes(2 * 257), b"\x00", b"\x00\x02a"):
        with pytest.raises(UsageError) as caught:
            unpack_bundle(damaged)
        assert caught.value.code == Code.LOG_INVALID
