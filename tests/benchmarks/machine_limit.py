"""What a durable certificate costs at least on this machine, in processor seconds: the sum of its parts.

Each part is done by the library that the server uses: a point check, a signature, its verification, a row for the
intent and one for the entry in the real tables of the ledger, with as many certificates to a sync as the server had,
and a leaf of the log. A proven certificate adds the check and verification of the chip's key, and a row with its leaf.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from atcaprov.certs.keys import raw_public_key
from provisioning_server.ledger.open_ledger import open_ledger

_OPERATIONS = 500
_ROUNDS = 5
_ROWS = 3200
_PREHASHED = ec.ECDSA(utils.Prehashed(hashes.SHA256()))
_ENTRY = "x" * 1700
"""As long as the entry of a certificate with the default definition."""
_REPORT = "x" * 900
_INSERT_ENTRY = "INSERT INTO entries (idx, kind, body) VALUES (?, ?, ?)"
_INSERT_INTENT = (
    "INSERT INTO intents (chip_serial, public_key, number, signer_serial, signer_key, documents, time,"
    " unsigned_certificate, server, client, last_index) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_Inserts = tuple[str, Sequence[tuple[object, ...]]]


@dataclass(frozen=True, slots=True)
class Parts:
    """Processor seconds of each part."""

    point_check: float
    signature: float
    verification: float
    rows: float
    leaf: float
    report_row: float

    @property
    def issued(self) -> float:
        """The sum for a certificate that was issued."""
        return self.point_check + self.signature + self.verification + self.rows + self.leaf

    @property
    def proven(self) -> float:
        """The sum for a certificate that was issued and proven."""
        return self.issued + self.point_check + self.verification + self.report_row + self.leaf

    def text(self) -> str:
        """Return the parts in microseconds, for a note."""
        names = ("point check", "signature", "verification", "two rows", "leaf", "row of a report")
        return ", ".join(f"{name} {1e6 * cost:.1f}" for name, cost in zip(names, astuple(self), strict=True))


def mean_parts(measured: Iterable[Parts]) -> Parts:
    """Return the mean of each part."""
    return Parts(*(statistics.mean(each) for each in zip(*map(astuple, measured), strict=True)))


def measure_parts(folder: Path, batch: int) -> Parts:
    """Measure each part; `batch` is how many certificates one sync of the disk served. `folder` must not exist."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    points = iter([b"\x04" + raw_public_key(_new_key()) for _ in range(_OPERATIONS * _ROUNDS)])
    digest, leaf = hashlib.sha256(b"to be signed").digest(), b"\0" + _ENTRY.encode()
    signature = key.sign(digest, _PREHASHED)
    rows, report_row = _row_costs(folder, batch)
    return Parts(
        point_check=_cost(lambda: ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), next(points))),
        signature=_cost(lambda: key.sign(digest, _PREHASHED)),
        verification=_cost(lambda: public.verify(signature, digest, _PREHASHED)),
        rows=rows,
        leaf=_cost(lambda: hashlib.sha256(leaf).digest()),
        report_row=report_row,
    )


def _new_key() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def _cost(operation: Callable[[], object]) -> float:
    """Return the processor seconds of one operation, the median of some rounds."""
    rounds = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(_OPERATIONS):
            operation()
        rounds.append((time.process_time() - began) / _OPERATIONS)
    return statistics.median(rounds)


def _row_costs(folder: Path, batch: int) -> tuple[float, float]:
    """Return the processor seconds of an intent with its entry, and of a report's entry, with their part of a sync."""
    folder.mkdir()
    path = folder / "ledger.sqlite3"
    open_ledger(path, datetime.now(UTC)).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        issued = _cost_of_rows(connection, batch, (_INSERT_INTENT, _intents()), (_INSERT_ENTRY, _entries(0, _ENTRY)))
        reported = _cost_of_rows(connection, batch, (_INSERT_ENTRY, _entries(_ROWS, _REPORT)))
    return issued, reported


def _cost_of_rows(connection: sqlite3.Connection, batch: int, *inserts: _Inserts) -> float:
    began = time.process_time()
    for first in range(0, _ROWS, batch):
        connection.execute("BEGIN IMMEDIATE")
        for statement, rows in inserts:
            connection.executemany(statement, rows[first : first + batch])
        connection.execute("COMMIT")
    return (time.process_time() - began) / _ROWS


def _intents() -> Sequence[tuple[object, ...]]:
    """Rows with random serial numbers and keys, as those of chips are."""
    key, unsigned = os.urandom(64), os.urandom(400)
    return [
        (os.urandom(9), os.urandom(64), number, bytes(9), key, "0" * 64, 0, unsigned, "0" * 16, "127.0.0.1:40000", -1)
        for number in range(_ROWS)
    ]


def _entries(first: int, body: str) -> Sequence[tuple[object, ...]]:
    return [(index, "issued", body) for index in range(first, first + _ROWS)]
