"""Quick checks of a ledger at its start: the head of the log fits its tiles, and the tiles fit the newest entries.

The time they take does not grow with the ledger. `audit verify` looks at every entry.
"""

from __future__ import annotations

from atcaprov.errors import UsageError
from atcaprov.transparency.merkle import HASH_SIZE, leaf_hash
from atcaprov.transparency.tiles import FULL_TILE, TILE_HEIGHT, TILE_WIDTH, TiledTree, split_hashes
from provisioning_server.ledger.entry_bodies import ISSUED
from provisioning_server.ledger.sql.database import Connection, Database, DatabaseError


def check_state(database: Database) -> None:
    """Raise DatabaseError (damaged) if the end of the log contradicts itself."""
    with database.snapshot() as connection:
        heads = connection.rows("SELECT size, root FROM tree")
        ledgers = connection.rows("SELECT ledger_id, epoch FROM ledger")
        if len(heads) != 1 or len(ledgers) != 1:
            raise DatabaseError("it has no head", damaged=True)
        ((size, root),) = heads
        try:
            _check_tiles(connection, size, root)
        except UsageError as error:
            raise DatabaseError(f"its log is incomplete ({error.what[:-1]})", damaged=True) from error
        _check_entries(connection, size)


def stored_tile(connection: Connection, level: int, number: int) -> bytes:
    """Return the hashes of a tile; empty if there is none."""
    rows = connection.rows("SELECT hashes FROM tiles WHERE level = ? AND number = ?", (level, number))
    hashes: bytes = rows[0][0] if rows else b""
    return hashes


def restored_tree(connection: Connection, size: int) -> TiledTree:
    """Return the tree with `size` entries; raises UsageError LOG_INVALID if its tiles are incomplete."""
    return TiledTree.restore(size, lambda level, number: stored_tile(connection, level, number))


def _check_tiles(connection: Connection, size: int, root: bytes) -> None:
    """Compare the head with the last tiles of each level, and each of them with the full tile before it."""
    if restored_tree(connection, size).root != root:
        raise DatabaseError("the head of its log does not fit the tiles", damaged=True)
    level = 0
    while full := size >> (TILE_HEIGHT * (level + 1)):
        _check_full_tile(connection, level, full - 1)
        level += 1


def _check_full_tile(connection: Connection, level: int, number: int) -> None:
    hashes = stored_tile(connection, level, number)
    above, place = divmod(number, TILE_WIDTH)
    root = stored_tile(connection, level + 1, above)[place * HASH_SIZE : (place + 1) * HASH_SIZE]
    if len(hashes) != FULL_TILE or TiledTree().append(split_hashes(hashes)).tree.root != root:
        raise DatabaseError(f"tile {number} of level {level} of its log does not fit those above it", damaged=True)


def _check_entries(connection: Connection, size: int) -> None:
    """Compare the entries of the last tile with it, and their certificates with the table that is searched."""
    first = max(size - 1, 0) // TILE_WIDTH * TILE_WIDTH
    rows = connection.rows("SELECT idx, kind, body FROM entries WHERE idx >= ? ORDER BY idx", (first,))
    if [index for index, _, _ in rows] != list(range(first, size)):
        raise DatabaseError(f"its newest entries are not those from {first} to {size}", damaged=True)
    if b"".join(leaf_hash(body.encode()) for _, _, body in rows) != stored_tile(connection, 0, first // TILE_WIDTH):
        raise DatabaseError(f"an entry from {first} on was changed", damaged=True)
    certificates = connection.rows("SELECT idx FROM certificates WHERE idx >= ? ORDER BY idx", (first,))
    if [index for (index,) in certificates] != [index for index, kind, _ in rows if kind == ISSUED]:
        raise DatabaseError(f"a certificate from entry {first} on is missing in its table", damaged=True)
