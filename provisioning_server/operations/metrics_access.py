"""Who gets the metrics: those who bring a token, or everyone who reaches the web page's port."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Final

from atcaprov.bounded_reading import read_bytes
from atcaprov.errors import Code, UsageError
from signer_module.password_rules import require_private

_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/=-]{16,256}")
"""A bearer token (RFC 6750, section 2.1) that is not guessed."""
_FILE_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class MetricsAccess:
    """The token; None: everyone gets them."""

    token: bytes | None = field(default=None, repr=False)


def metrics_access(token_file: Path | None, *, everyone: bool) -> MetricsAccess | None:
    """Return who gets the metrics by `--metrics-token` and `--metrics-open`; None: no one.

    Raises:
        UsageError: both are given; as `read_token`.
    """
    if token_file is None:
        return MetricsAccess() if everyone else None
    if everyone:
        raise UsageError(
            "--metrics-token and --metrics-open are given: the metrics are for those with the token, or for everyone.",
            advice="Leave out one of them.",
        )
    return MetricsAccess(read_token(token_file))


def read_token(path: Path) -> bytes:
    """Return the token in a file, without white space around it.

    Raises:
        UsageError: FILE_UNREADABLE, FILE_INVALID, or PASSWORD_EXPOSED if others may read the file.
    """
    data = read_bytes(path, _FILE_MAX).strip()
    require_private(path)
    if not _TOKEN.fullmatch(data):
        raise UsageError(
            f"{path} holds no token for the metrics: 16 to 256 letters, digits and -._~+/=.",
            advice=f"Make one: openssl rand -hex 32 > {quote(str(path))}",
            code=Code.FILE_INVALID,
        )
    return data
