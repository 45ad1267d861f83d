"""Message bodies as bytes: one CBOR map in its deterministic form (RFC 8949, section 4.2.1).

A body has exactly one valid encoding, so a body that encodes again to other bytes is refused. This comparison catches
duplicate keys, trailing bytes, indefinite lengths, long-form numbers and unsorted keys.
"""

from __future__ import annotations

from typing import Any, Final

import cbor2

from atcaprov.errors import ProtocolError

MAX_DEPTH: Final = 4
"""Nesting of containers in a body, the map itself counted. Known messages need 3."""

_ADVICE: Final = "The other program has a bug, or the bytes were changed on the way."
_SCALARS: Final = frozenset({int, bytes, str, bool, type(None)})
_INT_LIMIT: Final = 1 << 64


def encode_map(fields: dict[int, Any]) -> bytes:
    """Encode a map of unsigned integer keys, which ascend, deterministically.

    For such a map, and the plain values of messages, that is also the encoder's usual form, which takes half the time
    of its canonical one.
    """
    return cbor2.dumps(fields)


def decode_map(body: bytes, *, what: str) -> dict[int, Any]:
    """Decode a body into its map; `what` names the message in an error.

    Raises:
        ProtocolError: the bytes are not one deterministic CBOR map with unsigned integer keys whose values are
            integers, byte strings, text strings, booleans, null, and arrays and maps of these.
    """
    try:
        value = cbor2.loads(body)
    except Exception as error:  # cbor2 resolves tags while it decodes, which may raise any exception
        raise ProtocolError(f"The body of a {what} is not CBOR.", advice=_ADVICE) from error
    if type(value) is not dict:
        raise ProtocolError(f"The body of a {what} is not a map.", advice=_ADVICE)
    _check_plain(value, what, MAX_DEPTH)
    if encode_map(value) != body or not _is_sorted(value):
        raise ProtocolError(f"The body of a {what} is not in deterministic encoding.", advice=_ADVICE)
    return value


def _check_plain(value: object, what: str, depth: int) -> None:
    if type(value) in _SCALARS:
        if type(value) is int and not -_INT_LIMIT <= value < _INT_LIMIT:
            raise ProtocolError(f"A {what} holds a number of more than 64 bits.", advice=_ADVICE)
        return
    if depth == 0:
        raise ProtocolError(f"A {what} is nested deeper than {MAX_DEPTH} levels.", advice=_ADVICE)
    if type(value) is dict:
        for key, item in value.items():
            if type(key) is not int or key < 0:
                raise ProtocolError(f"A {what} has a key that is not an unsigned integer.", advice=_ADVICE)
            _check_plain(item, what, depth - 1)
    elif type(value) is list:
        for item in value:
            _check_plain(item, what, depth - 1)
    else:
        raise ProtocolError(f"A {what} holds a CBOR type that the protocol does not use.", advice=_ADVICE)


def _is_sorted(value: object) -> bool:
    """Return whether the keys of all maps in it ascend. For unsigned integers that is the order of their encodings."""
    if type(value) is dict:
        keys = list(value)
        return keys == sorted(keys) and all(_is_sorted(item) for item in value.values())
    return all(_is_sorted(item) for item in value) if type(value) is list else True
