"""Reading the file or open descriptor that passwords are given in."""

from __future__ import annotations

import os
from pathlib import Path

from atcaprov.errors import Code, UsageError
from provisioning_server.passwords.given_passwords import PASSWORDS_MAX, GivenPassword, password_lines
from signer_module.password_rules import require_private


def read_passwords(source: Path | int) -> tuple[GivenPassword, ...]:
    """Read lines of passwords from a file or an open file descriptor.

    Raises:
        UsageError: FILE_UNREADABLE, FILE_INVALID for more than 64 KiB, or PASSWORD_EXPOSED.
    """
    try:
        with open(source, "rb") as file:  # noqa: PTH123 - a descriptor has no Path
            require_private(source)
            data = file.read(PASSWORDS_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"The passwords cannot be read from {_name(source)}: {error.strerror}.",
            advice="Check --password-file or --password-fd.",
            code=Code.FILE_UNREADABLE,
        ) from error
    return password_lines(data, _name(source))


def _name(source: Path | int) -> str:
    return f"file descriptor {source}" if isinstance(source, int) else os.fspath(source)
