"""`SHA256SUMS`: the files of a folder with their digests, as `sha256sum --check` reads them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from atcaprov.bounded_reading import read_text
from atcaprov.errors import Code, UsageError

NAME: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-f]{64})  ((?:[\w][\w.-]*/)?[\w][\w.-]*)", re.ASCII)
"""A name has at most one folder, and none that leads out."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hex digits; raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sums_text(folder: Path, names: Iterable[str]) -> str:
    """Return the lines for files of a folder; raises OSError."""
    return "".join(f"{sha256_of(folder / name)}  {name}\n" for name in names)


def read_sums(folder: Path) -> Mapping[str, str]:
    """Return the digests by the names; raises UsageError FILE_UNREADABLE or FILE_INVALID with the line."""
    path = folder / NAME
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise UsageError(
                f"{path}, line {number} is not a digest and a name.",
                advice="Take another backup.",
                code=Code.FILE_INVALID,
            )
        found[match[2]] = match[1]
    return found


def check_sums(folder: Path, sums: Mapping[str, str]) -> None:
    """Return when every file is as it was; raises UsageError FILE_INVALID or FILE_UNREADABLE with the name."""
    for name, digest in sums.items():
        path = folder / name
        try:
            same = sha256_of(path) == digest
        except OSError as error:
            raise UsageError(
                f"{path} cannot be read: {error.strerror}.", advice="Take another backup.", code=Code.FILE_UNREADABLE
            ) from error
        if not same:
            raise UsageError(
                f"{path} is not the file that was backed up: its SHA-256 is another one.",
                advice="Take another backup.",
                code=Code.FILE_INVALID,
            )
