"""Read values from maps of JSON, CBOR or TOML; an error names the path of the value."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from atcaprov.errors import AtcaProvError, CertificateError, Code

_E = TypeVar("_E", bound=enum.IntEnum)

Fault = Callable[[str, str], AtcaProvError]


class Document:
    """A map whose getters raise the error that `fault(path, rule)` returns; CertificateError by default."""

    def __init__(self, value: object, path: str = "", fault: Fault | None = None) -> None:
        self.fault = fault or definition_fault
        if not isinstance(value, Mapping):
            raise self.fault(path or "the whole", "must be a map")
        self._map: Mapping[Any, Any] = value
        self._path = path
        self._asked: set[str] = set()

    def at(self, key: str) -> str:
        """Return the path of a key, for messages."""
        return f"{self._path}.{key}" if self._path else key

    def has(self, key: str) -> bool:
        """Tell whether a key is there."""
        return key in self._map

    def keys(self) -> list[str]:
        """Return the keys in their order."""
        return [str(key) for key in self._map]

    def get(self, key: str) -> object:
        """Return the value of a key that must be there."""
        self._asked.add(key)
        if key not in self._map:
            raise self.fault(self.at(key), "is missing")
        return self._map[key]

    def integer(self, key: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        value = self.get(key)
        if type(value) is not int or not low <= value <= high:
            raise self.fault(self.at(key), f"must be a whole number from {low} to {high}")
        return value

    def flag(self, key: str) -> bool:
        """Return true or false."""
        value = self.get(key)
        if type(value) is not bool:
            raise self.fault(self.at(key), "must be true or false")
        return value

    def text(self, key: str, longest: int) -> str:
        """Return a string of printable ASCII, at most `longest` characters."""
        value = self.get(key)
        if not isinstance(value, str) or len(value) > longest or not (value.isascii() and (value + "x").isprintable()):
            raise self.fault(self.at(key), f"must be a string of at most {longest} printable ASCII characters")
        return value

    def octets(self, key: str) -> bytes:
        """Return a byte string."""
        value = self.get(key)
        if not isinstance(value, bytes):
            raise self.fault(self.at(key), "must be bytes")
        return value

    def choice(self, key: str, kind: type[_E]) -> _E:
        """Return the member of `kind` that the text names."""
        return self.member(kind, self.get(key), self.at(key))

    def member(self, kind: type[_E], value: object, path: str) -> _E:
        """Return the member of `kind` with the name `value`."""
        if isinstance(value, str) and value in kind.__members__:
            return kind[value]
        raise self.fault(path, f"must be one of {', '.join(kind.__members__)}")

    def items(self, key: str, longest: int) -> list[object]:
        """Return a list of at most `longest` values."""
        value = self.get(key)
        if not isinstance(value, list | tuple) or len(value) > longest:
            raise self.fault(self.at(key), f"must be a list of at most {longest}")
        return list(value)

    def inner(self, key: str) -> Document:
        """Return the map under a key."""
        return Document(self.get(key), self.at(key), self.fault)

    def finish(self) -> None:
        """Refuse keys that were not read: they may mean something to a newer program."""
        unknown = sorted(str(key) for key in self._map if key not in self._asked)
        if unknown:
            raise self.fault(self.at(unknown[0][:40]), "is not known")


def definition_fault(path: str, rule: str) -> CertificateError:
    """Return the error of a definition that breaks a rule at `path`."""
    return CertificateError(f"The certificate definition is not valid: {path} {rule}.", code=Code.DEFINITION_INVALID)
