"""Read a configuration zone from a file: hex text, or named fields in TOML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from atcaprov.config_zone.foreign_forms import foreign_form
from atcaprov.config_zone.hex_file import read_hex
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.errors import Code, UsageError
from atcaprov.reading import read_bytes

_TOML: Final = ".toml"


@dataclass(frozen=True)
class ZoneFile:
    """A zone and where it came from; `lines` gives the line of each byte, 0 where there is none (TOML)."""

    path: Path
    zone: ConfigZone
    lines: tuple[int, ...]

    def place(self, byte: int) -> str:
        """Return `file:line` of a byte, or only the file."""
        return f"{self.path}:{self.lines[byte]}" if self.lines[byte] else str(self.path)


def read_zone_file(path: Path, *, accept_112: bool = False) -> ZoneFile:
    """Read a zone; a name that ends in .toml holds named fields (see toml_file), every other one hex text.

    Raises:
        UsageError: the file cannot be read (file-unreadable) or is no zone (config-zone-invalid), with its place.
    """
    content = _read(path)
    try:
        text = _decode(content)
        if path.suffix.lower() == _TOML:
            from atcaprov.config_zone.toml_file import build_toml

            data = build_toml(text)
            return ZoneFile(path, ConfigZone(data), (0,) * len(data))
        found = read_hex(text, accept_112=accept_112)
    except UsageError as error:
        raise _refused(path, content, error) from error
    return ZoneFile(path, ConfigZone(found.data), found.lines)


def _refused(path: Path, content: bytes, error: UsageError) -> UsageError:
    form = foreign_form(path, content)
    if form is None:
        return UsageError(f"{path}: {error.what}", advice=error.advice, code=error.code)
    advice = f"Convert it: {form.command}" if form.command else "Write its 128 bytes as hex digits, 16 on a line."
    what = f"{path} is {form.name}, not hex text or TOML ({error.what.rstrip('.')})."
    return UsageError(what, advice=advice, code=error.code)


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except UsageError as error:
        if error.code != Code.FILE_INVALID:
            raise
        what = f"{path} is too large for a configuration zone."
        raise UsageError(what, code=Code.CONFIG_ZONE_INVALID) from error


def _decode(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"line {line} is not text in UTF-8.",
            advice="A configuration zone is a text file of hex digits, not a binary image.",
            code=Code.CONFIG_ZONE_INVALID,
        ) from error
