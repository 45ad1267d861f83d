"""Kinds of values in a product profile: each checks a value, and says in words and as JSON Schema what it allows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from atcaprov.bounded_reading import shown
from atcaprov.certs.document_reader import Fault

_MOST_KEYS: Final = 64


class ValueKind(Protocol):
    """What may stand under a key."""

    @property
    def words(self) -> str:
        """What is allowed, for people, as in `must be ...`."""

    def check(self, value: object, path: str, fault: Fault) -> Any:
        """Return the value; raises the error that `fault` returns for the path and the broken rule."""

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the value."""


@dataclass(frozen=True, slots=True)
class Text:
    """A string of printable characters; `pattern` is a regular expression for the whole of it."""

    longest: int
    pattern: str = ""
    described: str = ""
    """What the pattern means, for people."""

    @property
    def words(self) -> str:
        """What is allowed, for people."""
        return self.described or f"a string of 1 to {self.longest} characters"

    def check(self, value: object, path: str, fault: Fault) -> str:
        """Return the text."""
        if not isinstance(value, str) or not 1 <= len(value) <= self.longest or not value.isprintable():
            raise fault(path, f"must be {self.words}, not {shown(value)}")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise fault(path, f"must be {self.words}, not {shown(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the text."""
        found: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": self.longest}
        return found | ({"pattern": f"^(?:{self.pattern})$"} if self.pattern else {})


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some words."""

    values: tuple[str, ...]

    @property
    def words(self) -> str:
        """What is allowed, for people."""
        listed = [f'"{value}"' for value in self.values]
        return listed[0] if len(listed) == 1 else f"{', '.join(listed[:-1])} or {listed[-1]}"

    def check(self, value: object, path: str, fault: Fault) -> str:
        """Return the word."""
        if not isinstance(value, str) or value not in self.values:
            raise fault(path, f"must be {self.words}, not {shown(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the word."""
        return {"enum": list(self.values)}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number."""

    low: int
    high: int

    @property
    def words(self) -> str:
        """What is allowed, for people."""
        return f"a whole number from {self.low} to {self.high}"

    def check(self, value: object, path: str, fault: Fault) -> int:
        """Return the number."""
        if type(value) is not int or not self.low <= value <= self.high:
            raise fault(path, f"must be {self.words}, not {shown(value)}")
        return value

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the number."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of different values of one kind."""

    kind: ValueKind
    most: int
    fewest: int = 0

    @property
    def words(self) -> str:
        """What is allowed, for people."""
        return f"a list of {self.fewest} to {self.most} different values, each {self.kind.words}"

    def check(self, value: object, path: str, fault: Fault) -> tuple[Any, ...]:
        """Return the values."""
        if not isinstance(value, list) or not self.fewest <= len(value) <= self.most:
            raise fault(path, f"must be {self.words}, not {shown(value)}")
        found = tuple(self.kind.check(each, path, fault) for each in value)
        if len(set(found)) < len(found):
            raise fault(path, "holds a value twice")
        return found

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the list."""
        sizes = {"minItems": self.fewest, "maxItems": self.most}
        return {"type": "array", "items": self.kind.schema(), "uniqueItems": True} | sizes


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table."""

    name: str
    kind: ValueKind
    meaning: str
    """For people: what it does, as the start of a sentence, without a period."""
    needed: bool = False
    default: str = ""
    """What holds when it is left out, for people; empty if there is nothing to say."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose keys are all known."""

    keys: tuple[Key, ...]
    not_both: tuple[tuple[str, str], ...] = ()
    """Pairs of keys that exclude each other."""
    one_of: tuple[str, ...] = ()
    """Keys of which one is needed."""

    @property
    def words(self) -> str:
        """What is allowed, for people."""
        return "a table"

    def check(self, value: object, path: str, fault: Fault) -> dict[str, Any]:
        """Return the values of the keys that are there."""
        if not isinstance(value, Mapping) or len(value) > _MOST_KEYS:
            raise fault(path, f"must be a table, not {shown(value)}")
        at = f"{path}." if path else ""
        known = {key.name: key for key in self.keys}
        for name in value:
            if name not in known:
                raise fault(f"{at}{name}"[:80], f"is not known; the keys here are {', '.join(known)}")
        for key in self.keys:
            if key.needed and key.name not in value:
                raise fault(f"{at}{key.name}", f"is missing: {key.meaning}")
        self._check_groups(value, at, fault)
        return {name: known[name].kind.check(each, f"{at}{name}", fault) for name, each in value.items()}

    def _check_groups(self, value: Mapping[str, object], at: str, fault: Fault) -> None:
        for first, second in self.not_both:
            if first in value and second in value:
                raise fault(f"{at}{second}", f"cannot stand beside {at}{first}: give one of them")
        if self.one_of and not set(self.one_of) & set(value):
            raise fault(f"{at}{self.one_of[0]}", f"is missing; give it or {at}{self.one_of[1]}")

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the table."""
        found: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {key.name: _described(key) for key in self.keys},
            "required": [key.name for key in self.keys if key.needed],
        }
        rules: list[dict[str, Any]] = [{"not": {"required": list(pair)}} for pair in self.not_both]
        if self.one_of:
            rules.append({"anyOf": [{"required": [name]} for name in self.one_of]})
        return found | ({"allOf": rules} if rules else {})


def _described(key: Key) -> dict[str, Any]:
    default = f" Default: {key.default}." if key.default else ""
    return key.kind.schema() | {"description": f"{key.meaning}.{default}"}


@dataclass(frozen=True, slots=True)
class OtherTable:
    """A table whose keys another format describes; whoever reads that format checks it."""

    described: str

    @property
    def words(self) -> str:
        """What is allowed, for people."""
        return self.described

    def check(self, value: object, path: str, fault: Fault) -> dict[str, Any]:
        """Return the table as it is."""
        if not isinstance(value, Mapping):
            raise fault(path, f"must be {self.words}, not {shown(value)}")
        return dict(value)

    def schema(self) -> dict[str, Any]:
        """Return the JSON Schema of the table."""
        return {"type": "object"}
