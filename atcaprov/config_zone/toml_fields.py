"""Read typed values from a TOML table; an error names the key with its full path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from atcaprov.chip.memory_map import SLOT_COUNT
from atcaprov.errors import Code, UsageError


class ZoneFieldError(UsageError):
    """A key of a configuration zone in TOML, such as `slots.3.write`, breaks a rule."""

    def __init__(self, path: str, problem: str, advice: str) -> None:
        super().__init__(f"{path}: {problem}", advice=advice, code=Code.CONFIG_ZONE_INVALID)
        self.path = path
        self.problem = problem


def field_error(path: str, problem: str, advice: str = "") -> ZoneFieldError:
    """Return the error of one key, such as `slots.3.write`."""
    return ZoneFieldError(path, problem, advice)


class NamedFields:
    """One table; every key is read once, and `finish` refuses keys that were not read."""

    def __init__(self, path: str, table: object) -> None:
        if not isinstance(table, Mapping):
            raise field_error(path, "must be a table.")
        self.path = path
        self._left: dict[str, Any] = dict(table)

    def key(self, name: str) -> str:
        """Return the full name of a key."""
        return f"{self.path}.{name}" if self.path else name

    def has(self, name: str) -> bool:
        """Tell whether the table names the key."""
        return name in self._left

    def table(self, name: str) -> NamedFields:
        """Read a table; a missing one is empty."""
        return NamedFields(self.key(name), self._left.pop(name, {}))

    def tables(self) -> dict[str, object]:
        """Read all tables that are left."""
        taken, self._left = self._left, {}
        return taken

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Read true or false."""
        value = self._left.pop(name, default)
        if not isinstance(value, bool):
            raise field_error(self.key(name), "must be true or false.")
        return value

    def number(self, name: str, *, default: int = 0, most: int = 0xFF) -> int:
        """Read a whole number from 0 to `most`."""
        value = self._left.pop(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise field_error(self.key(name), f"must be a whole number from 0 to {most}.")
        return value

    def slot(self, name: str, *, default: int = 0) -> int:
        """Read a slot number."""
        return self.number(name, default=default, most=SLOT_COUNT - 1)

    def optional_slot(self, name: str) -> int | None:
        """Read a slot number, or None if the key is missing."""
        return self.slot(name) if self.has(name) else None

    def choice(self, name: str, choices: Mapping[str, int], *, default: str) -> int:
        """Read one of the words and return its number."""
        value = self._left.pop(name, default)
        if not isinstance(value, str) or value not in choices:
            raise field_error(self.key(name), f"must be one of: {', '.join(choices)}.")
        return choices[value]

    def text(self, name: str, *, default: str = "") -> str:
        """Read a string."""
        value = self._left.pop(name, default)
        if not isinstance(value, str):
            raise field_error(self.key(name), "must be a string.")
        return value

    def hex_bytes(self, name: str, size: int) -> bytes:
        """Read `size` bytes in hex; zeros if the key is missing."""
        value = self.text(name, default="00" * size)
        try:
            data = bytes.fromhex(value)
        except ValueError:
            data = b""
        if len(data) != size:
            raise field_error(self.key(name), f"must be {size} bytes in hex.")
        return data

    def finish(self) -> None:
        """Refuse keys that were not read."""
        if self._left:
            raise field_error(self.key(next(iter(self._left))), "is not a known field.", "Check its spelling.")
