"""Read a configuration zone from a file: hex text, or named fields in TOML; name the other formats."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from atcaprov.bounded_reading import MalformedError, parse_json, read_bytes
from atcaprov.chip.memory_map import CONFIG_SIZE
from atcaprov.config_zone.hex_file import READ_ONLY_SIZE, read_hex
from atcaprov.config_zone.zone import ConfigZone
from atcaprov.errors import Code, UsageError

_TOML: Final = ".toml"


@dataclass(frozen=True)
class ZoneFile:
    """A zone and its file; `lines` has the line of each byte, 0 if there is none (TOML).

    `title` and `purposes`, the purpose of each slot, are what the author of a TOML file wrote; else empty.
    """

    path: Path
    zone: ConfigZone
    lines: tuple[int, ...]
    title: str = ""
    purposes: Mapping[int, str] = field(default_factory=dict)

    def place(self, byte: int) -> str:
        """Return `file:line` of a byte, or only the file."""
        return f"{self.path}:{self.lines[byte]}" if self.lines[byte] else str(self.path)


def read_zone_file(path: Path, *, accept_112: bool = False) -> ZoneFile:
    """Read a zone: named fields from a file that ends in .toml (see toml_file), hex text from any other.

    Raises:
        UsageError: the file cannot be read (file-unreadable) or is not a zone (config-zone-invalid, with line and
        column).
    """
    content = _read(path)
    try:
        text = _decode(content)
        if path.suffix.lower() == _TOML:
            from atcaprov.config_zone.toml_file import read_toml

            toml = read_toml(text)
            return ZoneFile(path, ConfigZone(toml.data), (0,) * len(toml.data), toml.title, toml.purposes)
        found = read_hex(text, accept_112=accept_112)
    except UsageError as error:
        raise _refused(path, content, error) from error
    return ZoneFile(path, ConfigZone(found.data), found.lines)


def _refused(path: Path, content: bytes, error: UsageError) -> UsageError:
    form = other_format(path, content)
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


_SIZES: Final = (CONFIG_SIZE, CONFIG_SIZE - READ_ONLY_SIZE)
_UTF_16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
_INTEL_HEX: Final = re.compile(rb"\s*:[0-9A-Fa-f]{10,}\s*$", re.MULTILINE)
_DUMP_OF_XXD: Final = re.compile(rb"\s*[0-9a-f]{8}: [0-9a-f]{4} ")
_DUMP_OF_HEXDUMP: Final = re.compile(rb"\s*[0-9a-f]{8}  [0-9a-f]{2} .*\|")
_LISTING: Final = re.compile(rb"\s*(?:0x)?[0-9A-Fa-f]+(?:-[0-9A-Fa-f]+)?\s*:\s*(?:0x)?[0-9A-Fa-f]{2}\b")
_C_ARRAY: Final = re.compile(rb"\{\s*0[xX][0-9A-Fa-f]{1,2}\s*,")


@dataclass(frozen=True)
class OtherFormat:
    """A format that is not read; `command` is a shell command that converts it to a hex file, or empty."""

    name: str
    command: str


def other_format(path: Path, content: bytes) -> OtherFormat | None:
    """Return the known format of a file that was not read as a zone, or None."""
    for name, matches, command in _FORMS:
        if matches(content):
            target = path.with_name(f"{path.stem}-zone.hex")
            return OtherFormat(name, command.format(source=shlex.quote(str(path)), target=shlex.quote(str(target))))
    return None


def _is_binary(content: bytes) -> bool:
    return len(content) in _SIZES and any(byte < 0x09 or byte > 0x7E for byte in content)


def _is_utf_16(content: bytes) -> bool:
    return content.startswith(_UTF_16_MARKS)


def _is_chip_file(content: bytes) -> bool:
    return _is_json(content) and b'"atcaprov chip"' in content


def _is_json(content: bytes) -> bool:
    if content.lstrip()[:1] not in (b"{", b"["):
        return False
    try:
        parse_json(content)
    except MalformedError:
        return False
    return True


def _is_xml(content: bytes) -> bool:
    return content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


_FORMS: Final[tuple[tuple[str, Callable[[bytes], object], str], ...]] = (
    ("a binary image", _is_binary, "xxd -p {source} > {target}"),
    ("text in UTF-16", _is_utf_16, "iconv -f UTF-16 -t UTF-8 {source} > {target}"),
    ("a chip file of the software chip", _is_chip_file, "jq -r .config {source} > {target}"),
    ("JSON", _is_json, ""),
    ("XML", _is_xml, ""),
    ("an Intel HEX file", _INTEL_HEX.match, "objcopy -I ihex -O binary {source} /dev/stdout | xxd -p > {target}"),
    ("a dump of xxd", _DUMP_OF_XXD.match, "xxd -r {source} | xxd -p > {target}"),
    ("a dump of hexdump -C", _DUMP_OF_HEXDUMP.match, "sed 's/^[0-9a-f]*//; s/|.*//' {source} > {target}"),
    ("a listing with indexes", _LISTING.match, "sed 's/^[^:]*://' {source} > {target}"),
    ("a C array", _C_ARRAY.search, r"grep -o '0[xX][0-9A-Fa-f]\{{2\}}' {source} > {target}"),
)
