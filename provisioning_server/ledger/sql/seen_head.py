"""The newest head of a ledger that this program has seen. A ledger that comes back without it is an older one.

That happens under a running server when a database is replaced by a copy that lacks its newest steps, such as a
standby that was promoted.
"""

from __future__ import annotations

import threading

from atcaprov.errors import UsageError
from atcaprov.transparency.tiles import TileReader, tree_root
from provisioning_server.ledger.sql.database import DatabaseError
from provisioning_server.ledger.store import TreeHead


class LedgerBehindError(DatabaseError):
    """The ledger lacks entries that it had."""


class SeenHead:
    """The head, which only grows; used from any thread."""

    def __init__(self, head: TreeHead) -> None:
        self.head = head
        self._lock = threading.Lock()

    def follow(self, before: TreeHead, head: TreeHead, read_tile: TileReader) -> None:
        """Take a head that was read after `before` was seen; raises LedgerBehindError unless it continues that."""
        if head == before:
            return
        if head.size < before.size:
            raise LedgerBehindError(f"it has {head.size} entries, and had {before.size}")
        try:
            root = head.root if head.size == before.size else tree_root(before.size, read_tile)
        except UsageError as error:
            raise DatabaseError(f"its log is incomplete ({error.what[:-1]})", damaged=True) from error
        if root != before.root:
            raise LedgerBehindError(f"its first {before.size} entries are not those that it had")
        self.advance(head)

    def advance(self, head: TreeHead) -> None:
        """Take a head that continues the one that was seen."""
        with self._lock:
            if head.size > self.head.size:
                self.head = head
