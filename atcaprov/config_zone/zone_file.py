"""Read a configuration zone from a file: named fields in TOML, raw bytes, or text in any of the known forms."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from atcaprov.bounded_reading import read_bytes
from atcaprov.config_zone.forms.reading import Place, Reading, form_error, sizes, unplaced
from atcaprov.config_zone.forms.table import read_text
from atcaprov.config_zone.toml_file import read_toml
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.errors import Code, UsageError

_TOML: Final = ".toml"
_UTF_16: Final = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_FEWEST_CHARACTERS: Final = 16


@dataclass(frozen=True)
class ZoneFile:
    """A zone and its file; `places` has the place of each byte, line 0 if there is none.

    `form` says what was read, such as `a C array named cfg`. `title` and `purposes`, the purpose of each slot, are
    what the author of a TOML file wrote; else empty.
    """

    path: Path
    zone: ConfigZone
    places: tuple[Place, ...]
    form: str = "hex text"
    title: str = ""
    purposes: Mapping[int, str] = field(default_factory=dict)

    def place(self, byte: int) -> str:
        """Return `file:line:column` of a byte, or only the file."""
        place = self.places[byte]
        return f"{self.path}:{place.line}:{place.column}" if place.line else str(self.path)

    @property
    def is_usual(self) -> bool:
        """Whether the file is of one of the two forms that are documented first, so that no word about it is needed."""
        return self.form in _USUAL


_USUAL: Final = frozenset({"hex text", "TOML"})


def read_zone_file(path: Path, *, accept_112: bool = False) -> ZoneFile:
    """Read a zone: named fields from a file that ends in .toml (see toml_file), any other form from any other file.

    Raises:
        UsageError: the file cannot be read (file-unreadable) or is not a zone (config-zone-invalid, with line and
        column).
    """
    content = _read(path)
    try:
        if path.suffix.lower() == _TOML:
            toml = read_toml(_decode(content)[0])
            places = unplaced("TOML", toml.data).places
            return ZoneFile(path, ConfigZone(toml.data), places, "TOML", toml.title, toml.purposes)
        found = _reading(content, accept_112=accept_112)
    except UsageError as error:
        raise UsageError(f"{path}: {error.what}", advice=error.advice, code=error.code) from error
    return ZoneFile(path, ConfigZone(found.data), found.places, found.form)


def _reading(content: bytes, *, accept_112: bool) -> Reading:
    if len(content) in sizes(accept_112=True) and _is_binary(content):
        if len(content) in sizes(accept_112=accept_112):
            return unplaced("raw bytes", content)
        what = f"The file holds {len(content)} raw bytes."
        raise form_error(what, "If these are bytes 16-127, say so with --accept-112.")
    text, encoding = _decode(content)
    found = read_text(text, accept_112=accept_112)
    return Reading(f"{found.form} in {encoding}", found.data, found.places) if encoding else found


def _is_binary(content: bytes) -> bool:
    return any(byte < ord("\t") or byte > ord("~") for byte in content)


def _read(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except UsageError as error:
        if error.code != Code.FILE_INVALID:
            raise
        what = f"{path} is too large for a configuration zone."
        raise UsageError(what, code=Code.CONFIG_ZONE_INVALID) from error


def _decode(content: bytes) -> tuple[str, str]:
    """Return the text, and the name of its encoding if that is not UTF-8."""
    encoding = _utf_16(content)
    try:
        return content.decode(encoding or "utf-8-sig"), "UTF-16" if encoding else ""
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "The text in UTF-16 is damaged." if encoding else f"line {line} is not text in UTF-8."
        advice = "A configuration zone is text, or exactly 128 raw bytes."
        raise UsageError(what, advice=advice, code=Code.CONFIG_ZONE_INVALID) from error


def _utf_16(content: bytes) -> str | None:
    """Return the encoding of text in UTF-16: by its mark, or by a zero in every other byte."""
    for mark, encoding in _UTF_16.items():
        if content.startswith(mark):
            return encoding
    if len(content) >= _FEWEST_CHARACTERS and len(content) % 2 == 0:
        if _mostly_zero(content[1::2]) and all(content[::2]):
            return "utf-16-le"
        if _mostly_zero(content[::2]) and all(content[1::2]):
            return "utf-16-be"
    return None


def _mostly_zero(data: bytes) -> bool:
    return data.count(0) * 4 >= len(data) * 3
