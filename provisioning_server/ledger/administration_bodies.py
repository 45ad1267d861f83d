"""The fields of administrative events in the bytes of an entry: by the types of the fields, one way for all."""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from provisioning_server.ledger.administration import (
    AdministrativeEvent,
    CrlIssued,
    OrderClosed,
    OrderOpened,
    Revoked,
    StationAdmitted,
    StationInvited,
    StationRemoved,
)

ADMINISTRATIVE_KINDS: Final[Mapping[type[AdministrativeEvent], str]] = {
    StationInvited: "station-invited",
    StationAdmitted: "station-admitted",
    StationRemoved: "station-removed",
    OrderOpened: "order-opened",
    OrderClosed: "order-closed",
    Revoked: "revoked",
    CrlIssued: "crl-issued",
}
_DER: Final = ("certificate", "crl")
"""Fields that are Base64; other bytes are hexadecimal digits."""
_TO_SECONDS: Final = len("2026-11-21T10:15:40")
_EMPTY: Final[Mapping[object, object]] = {"str": "", "bytes": b""}
_Codec = tuple[Callable[[Any], object], Callable[[Any], object]]


def administrative_fields(event: AdministrativeEvent) -> dict[str, object]:
    """Return the fields of an event for JSON; those that say nothing are left out."""
    found = {field.name: _codec(field.name, str(field.type))[0](getattr(event, field.name)) for field in fields(event)}
    return {name: value for name, value in found.items() if value not in (None, "", [])}


def read_administrative(kind: type[AdministrativeEvent], found: Mapping[str, Any]) -> AdministrativeEvent:
    """Read the fields of an event; raises ValueError, KeyError or TypeError for anything else."""
    values: dict[str, Any] = {
        field.name: _codec(field.name, str(field.type))[1](found[field.name])
        for field in fields(kind)
        if field.name in found
    }
    for field in fields(kind):
        if field.name not in values and field.type in _EMPTY:
            values[field.name] = _EMPTY[str(field.type)]
    return kind(**values)


def _codec(name: str, kind: str) -> _Codec:
    return _BASE64 if name in _DER else _CODECS[kind]


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.isoformat()[:_TO_SECONDS]}Z"


def text_field(value: object) -> str:
    """Return a text of an entry; raises ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a text")
    return value


def number_field(value: object) -> int:
    """Return a whole number of an entry; raises ValueError for anything else."""
    if type(value) is not int:
        raise ValueError(f"{value!r} is not a whole number")
    return value


def _as_is(value: object) -> object:
    return value


_BASE64: Final[_Codec] = (lambda data: b2a_base64(data, newline=False).decode(), a2b_base64)
_CODECS: Final[Mapping[str, _Codec]] = {
    "datetime": (_time, datetime.fromisoformat),
    "datetime | None": (_time, datetime.fromisoformat),
    "str": (_as_is, text_field),
    "int": (_as_is, number_field),
    "bytes": (bytes.hex, bytes.fromhex),
    "tuple[str, ...]": (list, lambda found: tuple(map(text_field, found))),
}
