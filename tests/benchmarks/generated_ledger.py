"""A ledger that is made larger than a server could make it in an afternoon: more entries, with their tree and tiles.

The entries are copies of one certificate, each for a chip and a key of its own; the signature is that of the first.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from atcaprov.transparency.merkle import leaf_hash
from atcaprov.transparency.tiles import TiledTree

_BLOCK = 25_600
_FAST = ("journal_mode=OFF", "synchronous=OFF", "cache_size=-262144", "locking_mode=EXCLUSIVE")
_Entry = tuple[bytes, bytes, bytes, str]
"""Serial number of the chip (9 bytes), its key (64), serial number of the certificate (16), body."""


def enlarge(data: Path, size: int) -> None:
    """Enlarge the ledger of a data folder, whose server is stopped, to `size` entries; the guide's files lack them."""
    with contextlib.closing(sqlite3.connect(data / "ledger.sqlite3", isolation_level=None)) as database:
        for setting in _FAST:
            database.execute(f"PRAGMA {setting}")
        indexes = database.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        _append(database, size)
        for _, statement in indexes:
            database.execute(statement)
        database.execute("PRAGMA journal_mode=WAL")
    _count_files_as_written(data / "logs" / "guide-files.json", size)


def _append(database: sqlite3.Connection, size: int) -> None:
    ((first, root),) = database.execute("SELECT size, root FROM tree")
    tree = TiledTree.restore(first, lambda level, number: _tile(database, level, number))
    assert tree.root == root
    ((body,),) = database.execute("SELECT body FROM entries WHERE kind = 'issued' ORDER BY idx LIMIT 1")
    while first < size:
        count = min(_BLOCK, size - first)
        block = list(_copies(body, count))
        database.execute("BEGIN")
        _insert(database, first, block)
        growth = tree.append([leaf_hash(entry[3].encode()) for entry in block])
        database.executemany(
            "INSERT OR REPLACE INTO tiles (level, number, hashes) VALUES (?, ?, ?)",
            [(tile.level, tile.number, tile.hashes) for tile in growth.tiles],
        )
        database.execute("UPDATE tree SET size = ?, root = ?", (growth.tree.size, growth.tree.root))
        database.execute("UPDATE signers SET issued = issued + ?", (count,))
        database.execute("COMMIT")
        tree, first = growth.tree, first + count


def _tile(database: sqlite3.Connection, level: int, number: int) -> bytes:
    statement = "SELECT hashes FROM tiles WHERE level = ? AND number = ?"
    ((hashes,),) = database.execute(statement, (level, number)).fetchall()
    return bytes(hashes)


def _copies(body: str, count: int) -> Iterator[_Entry]:
    """Return entries that differ from `body` in chip, key and serial number."""
    fields = json.loads(body)
    changing = ("certificate_serial", "chip_serial", "public_key")  # sorted, as in the body
    pieces, rest = [], body
    for name in changing:
        before, rest = rest.split(f'"{name}":"{fields[name]}"')
        pieces.append(f'{before}"{name}":"')
    one, two, three = pieces
    for _ in range(count):
        serial, chip, key = os.urandom(16), b"\x01\x23" + os.urandom(6) + b"\xee", os.urandom(64)
        yield chip, key, serial, f'{one}{serial.hex()}"{two}{chip.hex()}"{three}{key.hex()}"{rest}'


def _insert(database: sqlite3.Connection, first: int, block: Sequence[_Entry]) -> None:
    database.executemany(
        "INSERT INTO entries (idx, kind, body) VALUES (?, 'issued', ?)",
        [(index, entry[3]) for index, entry in enumerate(block, first)],
    )
    columns = [name for _, name, *_ in database.execute("PRAGMA table_info(certificates)")]
    own = ("idx", "chip_serial", "public_key", "certificate_serial")
    copied = [f"c.{name}" if name not in own else "?" for name in columns]
    database.executemany(
        f"INSERT INTO certificates ({', '.join(columns)}) SELECT {', '.join(copied)}"
        " FROM certificates c ORDER BY c.idx LIMIT 1",
        [(index, chip, key, serial) for index, (chip, key, serial, _) in enumerate(block, first)],
    )


def _count_files_as_written(progress: Path, size: int) -> None:
    """Tell the server that the guide's files are complete: their making is not what is measured."""
    found = json.loads(progress.read_text())
    progress.write_text(json.dumps({**found, "next": size, "unsettled": size}))
