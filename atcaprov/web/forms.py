"""Reads the forms that browsers send, percent-encoded."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

from atcaprov.errors import Code, UsageError

FORM_TYPE: Final = "application/x-www-form-urlencoded"
BODY_MAX: Final = 8 * 1024
"""Bytes; a password of 1024 characters needs 3 for each byte of UTF-8."""
FIELDS_MAX: Final = 4


def parse_form(body: bytes) -> dict[str, str]:
    """Read the fields of a form.

    Raises:
        UsageError: REQUEST_INVALID for anything that a browser does not send: other encodings, a field twice, too many.
    """
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=FIELDS_MAX,
        )
    except ValueError:
        raise _no_form() from None  # the body may hold a password, and so may what is said about it
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _no_form()
    return fields


def _no_form() -> UsageError:
    return UsageError("The request is not a form of this page.", code=Code.REQUEST_INVALID)
