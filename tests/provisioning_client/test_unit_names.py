"""Names of units from a file: each for one chip, whatever is cut or fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atcaprov import Board, Code, UsageError, durable_files
from provisioning_client.unit_names import UnitNames
from tests.support.numbered_chips import chip_serial


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "names.txt"
    path.write_text("SN-1\nSN-2\n\n  SN-3\t\r\nSN-4")
    return path


@pytest.fixture
def names(file: Path) -> Iterator[UnitNames]:
    with closing(UnitNames.open(file)) as opened:
        yield opened


def used(file: Path) -> str:
    return file.with_name("names.txt.used").read_text()


def finish(names: UnitNames, number: int) -> str:
    name = names.name_for(chip_serial(number))
    names.keep()
    return name


def test_each_chip_gets_the_next_name_and_keeps_it(file: Path, names: UnitNames) -> None:
    assert [finish(names, number) for number in (1, 2, 1, 3)] == ["SN-1", "SN-2", "SN-1", "SN-3"]
    assert names.left == 1
    serials = [chip_serial(number).hex().upper() for number in (1, 2, 3)]
    assert used(file) == "".join(f"SN-{at}\t{serial}\n" for at, serial in enumerate(serials, 1))


def test_board_that_fails_before_its_certificate_leaves_its_name(file: Path, names: UnitNames) -> None:
    assert names.name_for(chip_serial(1)) == "SN-1"
    assert finish(names, 2) == "SN-1"
    assert finish(names, 1) == "SN-2"
    assert len(used(file).splitlines()) == 2


def test_next_start_goes_on(file: Path) -> None:
    with closing(UnitNames.open(file)) as names:
        finish(names, 1)
        names.name_for(chip_serial(2))
    with closing(UnitNames.open(file)) as again:
        assert (again.left, again.name_for(chip_serial(3)), again.name_for(chip_serial(1))) == (3, "SN-2", "SN-1")
        assert UnitNames.read(file).name_for(chip_serial(1)) == "SN-1", "looking needs no lock"


def test_line_that_was_cut_counts_for_nothing(file: Path) -> None:
    """Cut at each byte, the name is the chip's with the line's end, and the next chip's without it."""
    with closing(UnitNames.open(file)) as names:
        finish(names, 1)
        finish(names, 2)
    whole = used(file).encode()
    first = whole.index(b"\n") + 1
    for end in range(first, len(whole) + 1):
        file.with_name("names.txt.used").write_bytes(whole[:end])
        with closing(UnitNames.open(file)) as again:
            expected = "SN-3" if end == len(whole) else "SN-2"
            assert finish(again, 9) == expected
            assert finish(again, 1) == "SN-1"


def test_write_that_fails_keeps_nothing(file: Path, names: UnitNames, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(descriptor: int, data: bytes) -> None:
        durable_files.write_all(descriptor, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    finish(names, 1)
    names.name_for(chip_serial(2))
    with monkeypatch.context() as patch:
        patch.setattr(durable_files, "write_synced", half)
        with pytest.raises(UsageError, match="No space left") as caught:
            names.keep()
    assert caught.value.code == Code.FILE_UNWRITABLE
    assert finish(names, 3) == "SN-2"
    assert [line.split("\t")[0] for line in used(file).splitlines()] == ["SN-1", "SN-2"]


def test_no_name_is_left(names: UnitNames) -> None:
    for number in (1, 2, 3, 4):
        finish(names, number)
    with pytest.raises(UsageError) as caught:
        names.name_for(chip_serial(5))
    assert (caught.value.code, caught.value.board) == (Code.UNITS_USED_UP, Board.UNTOUCHED)
    assert names.name_for(chip_serial(4)) == "SN-4"


def test_two_programs_do_not_share_a_file(file: Path, names: UnitNames) -> None:
    with pytest.raises(UsageError) as caught:
        UnitNames.open(file)
    assert caught.value.code == Code.UNITS_IN_USE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("SN-1\nSN-2\nSN-1\n", "Line 3 of .* has the name of line 1, 'SN-1', again"),
        ("SN-1\nSN 2\n", "Line 2"),
        ("SN-\N{SNOWMAN}\n", "Line 1"),
        ("SN-\x1b[2J\n", "Line 1"),
        ("X" * 65, "Line 1"),
    ],
)
def test_bad_names_are_refused_with_their_line(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        UnitNames.open(file)
    assert caught.value.code == Code.FILE_INVALID
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    ["SN-1\n", "SN-1\t0123\n", "\t0123AABBCCDDEEFFEE\n", "SN-1 0123AABBCCDDEEFFEE\n", "SN-1\t0123AABBCCDDEEFFEE\n" * 2],
)
def test_damaged_list_of_used_names_is_refused(file: Path, text: str) -> None:
    file.with_name("names.txt.used").write_text(text)
    with pytest.raises(UsageError) as caught:
        UnitNames.open(file)
    assert caught.value.code == Code.FILE_INVALID


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        UnitNames.open(tmp_path / "none.txt")
    assert caught.value.code == Code.FILE_UNREADABLE
    assert list(tmp_path.iterdir()) == []


FATES = st.sampled_from(["fails early", "certified", "restart", "cut"])


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(1, 6), FATES), max_size=20))
def test_no_name_is_skipped_or_given_twice(
    tmp_path_factory: pytest.TempPathFactory, boards: list[tuple[int, str]]
) -> None:
    file = tmp_path_factory.mktemp("names") / "names.txt"
    file.write_text("\n".join(f"SN-{number}" for number in range(1, 10)))
    certified: dict[bytes, str] = {}
    names = UnitNames.open(file)
    for number, fate in boards:
        chip = chip_serial(number)
        name = names.name_for(chip)
        assert name == certified.get(chip, f"SN-{len(certified) + 1}")
        if fate in ("certified", "cut"):
            names.keep()
            certified[chip] = name
        if fate in ("restart", "cut"):
            names.close()
            names = UnitNames.open(file)
    names.close()
    assert sorted(certified.values()) == [f"SN-{number}" for number in range(1, len(certified) + 1)]
