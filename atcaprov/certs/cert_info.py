"""atcaprov_cert_info_N.c: which signer a client asks for, and which root it trusts.

The signer module writes the file, the Provisioning Client reads it as text; it compiles as C too, for clients on a
microcontroller. The original format was never published; this is ours, version 1, described in
docs/reference/cert-info.md.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Self

from atcaprov.certs.c_source import byte_array, c_string
from atcaprov.certs.keys import key_id, load_public_key
from atcaprov.errors import CertificateError, Code, UsageError

FORMAT_VERSION: Final = 1
MAX_TEXT: Final = 65_536
_PREFIX: Final = "g_atcaprov_cert_info_"
_SIZES: Final = {"signer_id": 2, "signer_public_key": 64, "root_public_key": 64, "check": 32}
_NUMBERS: Final = ("format", "signer_template_id", "signer_chain_id", "device_template_id", "device_chain_id")
_NAMES: Final = ("signer_name", *_SIZES, *_NUMBERS)

_BLANK: Final = re.compile(r"(?:\s+|/\*.*?\*/|//[^\n]*|#[ \t]*include[^\n]*)+", re.DOTALL)
_DECLARATION: Final = re.compile(
    r"const\s+(?:char|uint8_t)\s+" + _PREFIX + r"(?P<index>[0-9]{1,3})_(?P<name>[a-z_]{1,32})\s*"
    r"(?P<array>\[\s*(?P<size>[0-9]{0,3})\s*\])?\s*=\s*(?P<value>\"(?:[^\"\\\n]|\\.)*\"|\{[^{}]*\}|[0-9]{1,3})\s*;"
)
_Value = tuple[int, Any]
"""Line and value of a declaration."""
_BYTE: Final = re.compile(r"0[xX]([0-9a-fA-F]{1,2})")
_ESCAPE: Final = re.compile(r"\\([0-7]{3}|[\"\\])")


@dataclass(frozen=True, slots=True)
class CertInfo:
    """What a client must know before it asks a server; public keys are X||Y, 64 bytes."""

    signer_name: str
    """Common name of the signer, without its id."""
    signer_id: bytes
    signer_public_key: bytes
    root_public_key: bytes
    signer_template_id: int
    signer_chain_id: int
    device_template_id: int
    device_chain_id: int
    index: int = 0
    """The N of the file name."""
    format_version: int = FORMAT_VERSION

    @property
    def file_name(self) -> str:
        """Name of the file."""
        return f"atcaprov_cert_info_{self.index}.c"

    @property
    def check(self) -> bytes:
        """SHA-256 over all fields (each with its length in front), which detects a damaged file."""
        numbers = bytes(getattr(self, name) for name in _NUMBERS[1:])
        parts = [self.signer_name.encode(), self.signer_id, self.signer_public_key, self.root_public_key, numbers]
        message = bytes([self.format_version])
        message += b"".join(len(part).to_bytes(2, "big") + part for part in parts)
        return hashlib.sha256(message).digest()

    def to_c(self) -> str:
        """Return the text of the file."""
        lines = [
            "/*",
            f" * {self.file_name}",
            " * Which signer to ask for certificates, and which root to trust. Written by signer-module, read by",
            " * provisioning-client; it compiles as C too. Not to be edited: a changed value fails the check.",
            " *",
            f" * Signer key id: {key_id(self.signer_public_key).hex()}",
            f" * Root key id:   {key_id(self.root_public_key).hex()}",
            " */",
            "#include <stdint.h>",
            "",
            self._number("format", self.format_version),
            f"const char {self._name('signer_name')}[] = {c_string(self.signer_name)};",
        ]
        lines += [self._number(name, getattr(self, name)) for name in _NUMBERS[1:]]
        lines += [self._array(name, getattr(self, name)) for name in _SIZES]
        return "\n".join(lines) + "\n"

    def _name(self, field: str) -> str:
        return f"{_PREFIX}{self.index}_{field}"

    def _number(self, field: str, value: int) -> str:
        return f"const uint8_t {self._name(field)} = {value};"

    def _array(self, field: str, value: bytes) -> str:
        return f"const uint8_t {self._name(field)}[{len(value)}] = {byte_array(value)};"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a file; raises UsageError (certinfo-invalid) that names the line."""
        if len(text) > MAX_TEXT:
            _fail(f"The file has {len(text)} characters; at most {MAX_TEXT} are read.")
        declarations = _declarations(text)
        index, values = _values(declarations)
        check = values.pop("check")[1]
        found = cls(index=index, format_version=_format(values), **{name: value for name, (_, value) in values.items()})
        _check_keys(found, values)
        if found.check != check:
            _fail("The file was changed or damaged: its check value does not fit its contents.")
        return found


def _declarations(text: str) -> list[tuple[int, re.Match[str]]]:
    found, position = [], 0
    while position < len(text):
        blank = _BLANK.match(text, position)
        if blank is not None:
            position = blank.end()
            continue
        line = text.count("\n", 0, position) + 1
        match = _DECLARATION.match(text, position)
        if match is None:
            _fail(f"Line {line} is not a declaration of a cert info file.")
        found.append((line, match))
        position = match.end()
    return found


def _values(declarations: list[tuple[int, re.Match[str]]]) -> tuple[int, dict[str, _Value]]:
    values: dict[str, _Value] = {}
    indexes = {int(match["index"]) for _, match in declarations}
    for line, match in declarations:
        name = match["name"]
        if name not in _NAMES or name in values:
            _fail(f"Line {line}: {name} is {'given twice' if name in values else 'not known'}.")
        values[name] = (line, _value(line, name, match))
    missing = [name for name in _NAMES if name not in values]
    if missing:
        _fail(f"{_PREFIX}N_{missing[0]} is missing; the file is cut off or is not a cert info file.")
    if len(indexes) != 1:
        _fail("The file mixes the names of several cert info files.")
    return indexes.pop(), values


def _value(line: int, name: str, match: re.Match[str]) -> str | bytes | int:
    value, is_array = match["value"], match["array"] is not None
    if name in _NUMBERS:
        if is_array or not value.isdigit() or (name != "format" and int(value) > 15):
            _fail(f"Line {line}: {name} must be a number{'' if name == 'format' else ' from 0 to 15'}.")
        return int(value)
    if name == "signer_name":
        return _text(line, value) if is_array else _fail(f"Line {line}: {name} must be a string.")
    data = _bytes(line, name, value)
    size = _SIZES[name]
    if len(data) != size or match["size"] not in ("", str(size)) or not is_array:
        _fail(f"Line {line}: {name} must be an array of {size} bytes, not {len(data)}.")
    return data


def _text(line: int, literal: str) -> str:
    raw = literal[1:-1]
    if not literal.startswith('"') or "\\" in _ESCAPE.sub("", raw) or not raw.isascii():
        _fail(f"Line {line}: signer_name must be a string in quotes.")
    plain = _ESCAPE.sub(lambda match: chr(int(match[1], 8) & 0xFF) if match[1].isdigit() else match[1], raw)
    try:
        text = plain.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        _fail(f"Line {line}: signer_name is not UTF-8.")
    if not 1 <= len(text) <= 64 or not text.isprintable():
        _fail(f"Line {line}: signer_name must be 1 to 64 printable characters.")
    return text


def _bytes(line: int, name: str, value: str) -> bytes:
    if not value.startswith("{"):
        _fail(f"Line {line}: {name} must be bytes in braces.")
    items = [item.strip() for item in value[1:-1].split(",")]
    if items and not items[-1]:
        items.pop()
    matches = [_BYTE.fullmatch(item) for item in items]
    if not all(matches):
        _fail(f"Line {line}: {name} must be bytes like 0x1f, with commas between them.")
    return bytes(int(match[1], 16) for match in matches if match)


def _format(values: dict[str, _Value]) -> int:
    line, version = values.pop("format")
    if version != FORMAT_VERSION:
        _fail(f"Line {line}: the file has format {version}; this program reads format {FORMAT_VERSION}.")
    return FORMAT_VERSION


def _check_keys(info: CertInfo, values: dict[str, _Value]) -> None:
    for name in ("signer_public_key", "root_public_key"):
        try:
            load_public_key(getattr(info, name))
        except CertificateError:
            _fail(f"Line {values[name][0]}: {name} is not a point on P-256.")


def _fail(what: str) -> NoReturn:
    raise UsageError(
        f"The cert info file is not usable. {what}",
        advice="Export it again with 'signer-module export'.",
        code=Code.CERTINFO_INVALID,
    )
