"""Connections that are lent for reading: to the thread that writes its own one, to others one that no one uses."""

from __future__ import annotations

import contextlib
import threading
from abc import abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeVar

_Connection = TypeVar("_Connection")


class LentConnections(Generic[_Connection]):
    """What the databases of a ledger have in common; each opens its own connections."""

    def __init__(self) -> None:
        self._writing = threading.RLock()
        self._writing_thread: int | None = None
        self._readers: list[_Connection] = []  # those that no one uses
        self._writer: _Connection | None = None

    @abstractmethod
    def _new_reader(self) -> _Connection:
        """Return a further connection that only reads."""

    @contextlib.contextmanager
    def reading(self) -> Iterator[_Connection]:
        """Lend a connection that sees what is committed; from any thread."""
        if self._writer is not None and self._writing_thread == threading.get_ident():
            with self._writing:
                yield self._writer
            return
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = self._new_reader()
        try:
            yield reader
        finally:
            self._readers.append(reader)
