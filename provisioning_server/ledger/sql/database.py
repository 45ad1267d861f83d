"""The interface of a database. Statements have `?` for each value; values are int, str, bytes or None."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

Value = int | str | bytes | None
Row = tuple[Any, ...]
_Value = TypeVar("_Value", int, str, bytes)


class DatabaseError(Exception):
    """The database did not do what it was told. The text is the reason, the end of a sentence without its period.

    `damaged` says that what is stored is wrong; else the next try may succeed.
    """

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


class Connection(Protocol):
    """Runs statements, each of them raises DatabaseError."""

    def rows(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        """Return all rows that a statement finds."""

    def run(self, statement: str, values: Sequence[Value] = ()) -> int:
        """Run a statement; return how many rows it changed."""

    def run_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        """Run a statement for each row of values; return how many rows were changed in all."""


class Database(Protocol):
    """One database with the tables of `schema`."""

    types: Mapping[str, str]
    """The names of its types, for `schema`."""
    remedy: str
    """What an operator does after it has failed and before the server is started again: a sentence without its end."""

    def writing(self) -> AbstractContextManager[Connection]:
        """Begin the only transaction that writes; commit it durably at the end, or undo it if an error passes."""

    def reading(self) -> AbstractContextManager[Connection]:
        """Lend a connection that sees what is committed; from any thread."""

    def snapshot(self) -> AbstractContextManager[Connection]:
        """Lend a connection that sees one state of the database from the first statement to the last."""

    def note_version(self, connection: Connection, version: int) -> None:
        """Write the version of the tables where the database itself keeps such a number, if it does."""

    def claim(self, name: str, *, wait: bool = False) -> bool:
        """Take the name of a server until the end; False if another one has it. `wait` for one that is ending."""

    def release(self, name: str) -> None:
        """Give back a name that was taken."""

    def give_up(self) -> None:
        """Give back all names and locks after an error: nothing is written any more."""

    def close(self) -> None:
        """Close all connections."""


def one_of(values: Collection[_Value]) -> tuple[str, list[_Value]]:
    """Return the marks and values for IN. Their number is a power of two, so that few statements are prepared."""
    given = list(values)
    width = 1 << (len(given) - 1).bit_length()
    return ",".join("?" * width), given + given[:1] * (width - len(given))
