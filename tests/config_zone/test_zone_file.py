from __future__ import annotations

from pathlib import Path

import pytest

from atcaprov import Code, UsageError, read_zone_file
from atcaprov.config_zone.defaults import DEFAULT_608A
from atcaprov.config_zone.hex_file import format_hex

CONFIGS = Path(__file__).parents[2] / "configs"


def refusal(path: Path) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read_zone_file(path)
    assert str(path) in caught.value.what
    return caught.value


def test_a_hex_file_knows_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "zone.hex"
    path.write_text("# a comment with \u00e9\n" + format_hex(DEFAULT_608A), encoding="utf-8")
    found = read_zone_file(path)
    assert found.zone.data == DEFAULT_608A
    assert found.place(16) == f"{path}:3:1"


def test_a_toml_file_has_no_lines() -> None:
    path = CONFIGS / "atecc608a-default.toml"
    assert read_zone_file(path).place(16) == str(path)


def test_112_bytes(tmp_path: Path) -> None:
    path = tmp_path / "zone.hex"
    path.write_text(format_hex(DEFAULT_608A[16:]))
    assert read_zone_file(path, accept_112=True).zone.data == DEFAULT_608A
    assert "--accept-112" in refusal(path).advice


def test_a_missing_file(tmp_path: Path) -> None:
    error = refusal(tmp_path / "none.hex")
    assert error.code == Code.FILE_UNREADABLE
    assert "No such file" in error.what


def test_a_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == Code.FILE_UNREADABLE


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("zone.hex", b"", "holds 0 bytes"),
        ("zone.hex", DEFAULT_608A[:100], "line 1 is not text"),
        ("zone.hex", b"00 00\n\xff\xfe", "line 2 is not text"),
        ("zone.hex", format_hex(DEFAULT_608A).encode("utf-16")[:-1], "The text in UTF-16 is damaged"),
        ("zone.hex", b"00 " * 400_000, "too large"),
        ("zone.hex", b"00 0x\n", "line 1, column 4"),
        ("zone.toml", b"part = 3", "part: must be one of"),
        ("zone.TOML", b"[[[", "The TOML is not valid"),
    ],
)
def test_file_without_a_zone_is_refused(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == Code.CONFIG_ZONE_INVALID
    assert words in error.what
