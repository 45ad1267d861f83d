"""Values in the lines of notes, checkpoints and proofs. Each value has one spelling."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from typing import Final

from atcaprov.errors import Code, UsageError
from atcaprov.transparency.merkle import HASH_SIZE, MAX_SIZE

_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z", re.ASCII)
_ADVICE: Final = "Get the file again from where it came."


def malformed(what: str) -> UsageError:
    """Return the error for bytes that do not have the format."""
    return UsageError(what, advice=_ADVICE, code=Code.LOG_INVALID)


def encode_base64(data: bytes) -> str:
    """Return standard Base64 with padding (RFC 4648, section 4)."""
    return b64encode(data).decode("ascii")


def decode_base64(text: str, what: str) -> bytes:
    """Return the bytes of `encode_base64`; `what` names the value in the UsageError (LOG_INVALID)."""
    try:
        data = b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise malformed(f"{what} is not Base64.") from error
    if encode_base64(data) != text:
        raise malformed(f"{what} is not in the usual form of Base64.")
    return data


def decode_hash(text: str, what: str) -> bytes:
    """Return the 32 bytes of a hash in Base64."""
    data = decode_base64(text, what)
    if len(data) != HASH_SIZE:
        raise malformed(f"{what} has {len(data)} bytes, not {HASH_SIZE}.")
    return data


def decode_number(text: str, what: str) -> int:
    """Return a number from 0 to 2**63 - 1, in decimal without leading zeros."""
    if not _DECIMAL.match(text) or int(text) > MAX_SIZE:
        raise malformed(f"{what} is not a number from 0 to {MAX_SIZE} without leading zeros.")
    return int(text)
