"""Rules for passwords: how strong one must be, and how a file or descriptor that holds one is read.

Nothing but the password and a slow hash protects a stolen chip or key file.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from shlex import quote
from typing import Final

from atcaprov.errors import Code, UsageError

_MARK: Final = b"\xef\xbb\xbf"
_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP
"""A group may read: a service has one of its own."""
LEAST_LENGTH: Final = 12
LEAST_DIFFERENT: Final = 6


def without_mark(line: bytes) -> bytes:
    """Return a line without the byte order mark (UTF-8) that some editors put before a text."""
    return line.removeprefix(_MARK)


def is_exposed(source: Path | int) -> bool:
    """Whether others may read or change a file or open descriptor, or its group may change it. Raises OSError.

    No one else can read pipes; Windows has other permissions.
    """
    mode = os.stat(source).st_mode  # noqa: PTH116 - a descriptor has no Path
    return sys.platform != "win32" and stat.S_ISREG(mode) and bool(mode & _OTHERS)


def require_private(source: Path | int) -> None:
    """Raise UsageError PASSWORD_EXPOSED if a file or open descriptor of passwords `is_exposed`. Raises OSError."""
    if not is_exposed(source):
        return
    name, file = ("The file behind the descriptor", "FILE") if isinstance(source, int) else (source, quote(str(source)))
    raise UsageError(
        f"{name} holds passwords, and others may read or change it (mode {stat.S_IMODE(os.stat(source).st_mode):04o}).",  # noqa: PTH116
        advice=f"Choose a new password if others could read it, and run: chmod 600 {file}",
        code=Code.PASSWORD_EXPOSED,
    )


def require_strong(password: bytes) -> None:
    """Raise UsageError (password-weak) for a password that would soon be guessed; counted are its bytes."""
    if len(password) < LEAST_LENGTH or len(set(password)) < LEAST_DIFFERENT:
        raise UsageError(
            f"The password is too weak: it needs {LEAST_LENGTH} characters or more, "
            f"{LEAST_DIFFERENT} of them different.",
            advice="Use several unrelated words, or let a program choose the password.",
            code=Code.PASSWORD_WEAK,
        )
