"""What a password must have: nothing but it and a slow hash stands against a thief who has the chip or the key file."""

from __future__ import annotations

from typing import Final

from atcaprov.errors import Code, UsageError

LEAST_LENGTH: Final = 12
LEAST_DIFFERENT: Final = 6


def require_strong(password: bytes) -> None:
    """Raise UsageError (password-weak) for a password that would soon be guessed; counted are its bytes."""
    if len(password) < LEAST_LENGTH or len(set(password)) < LEAST_DIFFERENT:
        raise UsageError(
            f"The password is too weak: it needs {LEAST_LENGTH} characters or more, "
            f"{LEAST_DIFFERENT} of them different.",
            advice="Take several words that do not belong together, or let a program choose one.",
            code=Code.PASSWORD_WEAK,
        )
