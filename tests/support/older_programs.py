"""What programs of before reports send and read: recorded messages, and a reader that knows only their tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cbor2

_RECORDED = json.loads((Path(__file__).parents[1] / "vectors/messages-before-reports.json").read_text())


def recorded(case: str, sender: str) -> list[bytes]:
    """Return the messages that `client` or `server` sent in a recorded case."""
    return [bytes.fromhex(message) for message in _RECORDED["cases"][case][sender]]


class RefusedByOlderProgram(Exception):  # noqa: N818 - the answer of a test's program
    """A program of before reports refuses the message."""


def read_as_before(message: bytes) -> dict[int, Any]:
    """Read a message as a program of before reports does: by its header first; return the known keys of its body."""
    magic, kind, length = message[:3], message[3:4].hex(), int.from_bytes(message[4:8], "big")
    rules = _RECORDED["readers"]["types"].get(kind)
    if magic != b"AP\x01" or rules is None:
        raise RefusedByOlderProgram(f"unknown type {kind}")
    if length > rules["largest"]:
        raise RefusedByOlderProgram(f"{length} bytes in a message of type {kind}")
    body = message[8:]
    assert len(body) == length
    fields = cbor2.loads(body)
    if cbor2.dumps(fields, canonical=True) != body:
        raise RefusedByOlderProgram("not deterministic")
    for text, rule in rules["keys"].items():
        key = int(text)
        if key in fields:
            _check(fields[key], rule)
        elif key < rules["optional_from"]:
            raise RefusedByOlderProgram(f"key {key} is missing")
    return {key: value for key, value in fields.items() if str(key) in rules["keys"]}


def _check(value: object, rule: list[Any]) -> None:
    kind, *bounds = rule
    if kind == "writes":
        good = type(value) is list and all(len(write) == 3 for write in value)
    else:
        size = value if kind == "number" else len(value) if isinstance(value, bytes | str) else 0
        wanted = {"bytes": bytes, "text": str, "bool": bool, "number": int}[kind]
        good = type(value) is wanted and (kind == "bool" or bounds[0] <= size <= bounds[1])
    if not good:
        raise RefusedByOlderProgram(f"{value!r} is not {rule}")
