"""The text of a key file: UTF-16 and byte order marks removed, PEM blocks found and their lines trimmed."""

from __future__ import annotations

import codecs
import re
from typing import Final

from atcaprov.certs.key_files.refusals import KeyFileError

MAX_FILE: Final = 65_536
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----[ \t]*\n.*?-----END \1-----", re.DOTALL)
_UTF_16_MARKS: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF_16_STARTS: Final = {b"-\0-\0": "utf-16-le", b"\0-\0-": "utf-16-be", b"{\0": "utf-16-le", b"\0{": "utf-16-be"}
_DER: Final = b"\x30"


def content_of(data: bytes) -> bytes:
    """Return the bytes of a key file, text as UTF-8 without a mark; raises KeyFileError if it is too long for a key."""
    if len(data) > MAX_FILE:
        raise KeyFileError(f"is longer than {MAX_FILE} bytes, too long for a key")
    encoding = _utf_16(data)
    if encoding:
        try:
            return data.decode(encoding).encode()
        except UnicodeError:
            raise KeyFileError("is damaged text in UTF-16") from None
    return data.removeprefix(codecs.BOM_UTF8)


def _utf_16(data: bytes) -> str | None:
    if data.startswith(_UTF_16_MARKS):
        return "utf-16"
    return next((encoding for start, encoding in _UTF_16_STARTS.items() if data.startswith(start)), None)


def pem_blocks(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return (label, block) of each PEM block in a text, whatever stands around it.

    Lines may end as on any system and may be indented, as in a YAML file.
    """
    text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return [(match[1], _trimmed(match[0])) for match in _BLOCK.finditer(text)]


def _trimmed(block: bytes) -> bytes:
    return b"".join(line.strip() + b"\n" for line in block.split(b"\n"))


def is_der(content: bytes) -> bool:
    """Tell whether bytes begin as a SEQUENCE in DER or BER does."""
    return content.startswith(_DER)


def is_json(content: bytes) -> bool:
    """Tell whether bytes are meant as JSON."""
    return content.lstrip().startswith(b"{")
