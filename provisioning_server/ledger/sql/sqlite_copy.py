"""Copy a database of SQLite while another program writes to it: the copy is one committed state."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from provisioning_server.ledger.sql.database import DatabaseError
from provisioning_server.ledger.sql.sqlite_file import lacks_log


def copy_database(source: Path, target: Path) -> None:
    """Copy a database into an empty file, durably; raises DatabaseError.

    It is read in one transaction, for which no writer waits: until then its write-ahead log grows. The copy is one
    file, and says that it is complete. A source that lacks its write-ahead log is read as it stands: SQLite would make
    an empty one, and the next start could not tell any more that it is missing.
    """
    mode = "ro&immutable=1" if lacks_log(source) else "ro"
    try:
        with (
            contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode={mode}", uri=True)) as reader,
            contextlib.closing(_connected(target)) as writer,
        ):
            reader.backup(writer)
        with contextlib.closing(_connected(target)) as writer:  # a new one: the first does not know that it is a log
            writer.execute("UPDATE ledger SET running = 0")
            writer.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise DatabaseError(str(error)) from error


def _connected(target: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{target.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
