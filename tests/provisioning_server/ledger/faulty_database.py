"""A database that fails once, at a chosen operation, and then goes on as if nothing was: as SQLite does after EIO."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from provisioning_server.ledger.sql.database import Connection, Database, DatabaseError, Row, Value


class FaultyDatabase:
    """Operations are: begin, each statement, commit, and the answer to it."""

    def __init__(self, inner: Database) -> None:
        self.operations = 0
        self.failing: int | None = None
        """The number of the operation that fails, from 1."""
        self.types: Mapping[str, str] = inner.types
        self.remedy = inner.remedy
        self._inner = inner

    def operate(self) -> None:
        """Count an operation, and fail if it is the chosen one."""
        self.operations += 1
        if self.operations == self.failing:
            raise DatabaseError("disk I/O error")

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        self.operate()
        with self._inner.writing() as connection:
            yield _FaultyConnection(connection, self)
            self.operate()
        self.operate()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        with self._inner.reading() as connection:
            yield _FaultyConnection(connection, self)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Connection]:
        with self._inner.snapshot() as connection:
            yield _FaultyConnection(connection, self)

    def note_version(self, connection: Connection, version: int) -> None:
        self._inner.note_version(connection, version)

    def claim(self, name: str, *, wait: bool = False) -> bool:
        self.operate()
        return self._inner.claim(name, wait=wait)

    def release(self, name: str) -> None:
        self.operate()
        self._inner.release(name)

    def give_up(self) -> None:
        self._inner.give_up()

    def close(self) -> None:
        self._inner.close()


class _FaultyConnection:
    def __init__(self, inner: Connection, database: FaultyDatabase) -> None:
        self._inner = inner
        self._database = database

    def rows(self, statement: str, values: Sequence[Value] = ()) -> list[Row]:
        self._database.operate()
        return self._inner.rows(statement, values)

    def run(self, statement: str, values: Sequence[Value] = ()) -> int:
        self._database.operate()
        return self._inner.run(statement, values)

    def run_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> int:
        self._database.operate()
        return self._inner.run_many(statement, rows)
