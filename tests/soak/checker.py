"""Check a ledger against what its servers have acknowledged, with nothing of the server's own code.

Reads the tables by SQL of its own and computes the Merkle root by the definition of RFC 6962.
"""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Self

import psycopg

from tests.soak.acknowledged import Acknowledgement, certificates
from tests.support.numbered_chips import chip_serial

_ENTRIES: Final = "SELECT idx, kind, body FROM entries ORDER BY idx"
_CERTIFICATES: Final = "SELECT idx, chip_serial, public_key, certificate_serial, proven FROM certificates ORDER BY idx"
_TREE: Final = "SELECT size, root FROM tree"
_INTENTS: Final = "SELECT chip_serial FROM intents"
_TALLIES: Final = "SELECT issued, crls, lost, accepted FROM signers"
_CHECKPOINTS_CHECKED: Final = 20
"""The newest of those that were acknowledged; an older log is a part of a newer one."""


@dataclass(frozen=True)
class Contents:
    """The rows of a ledger."""

    entries: list[tuple[int, str, str]]
    certificates: list[tuple[int, bytes, bytes, bytes, int | None]]
    size: int
    root: bytes
    open_intents: list[bytes]
    tallies: list[tuple[int, int, int, int]]
    faults: list[str]
    """What the database finds wrong with itself."""

    @classmethod
    def of(cls, ledger: Path | str) -> Self:
        """Read a file of SQLite, or the PostgreSQL database of a URL."""
        return cls.of_sqlite(ledger) if isinstance(ledger, Path) else cls.of_postgresql(ledger)

    @classmethod
    def of_sqlite(cls, path: Path) -> Self:
        """Read a copy of a file of SQLite and its write-ahead log, which the next server is to find as they are."""
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copy(path, folder))
            log = path.with_name(f"{path.name}-wal")
            if log.exists():
                shutil.copy(log, folder)
            with contextlib.closing(sqlite3.connect(copy)) as connection:
                found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
                return cls._of(connection, [fault for fault in found if fault != "ok"])

    @classmethod
    def of_postgresql(cls, url: str) -> Self:
        """Read a database of PostgreSQL."""
        with psycopg.connect(url) as connection:
            return cls._of(connection, [])

    @classmethod
    def _of(cls, connection: Any, faults: list[str]) -> Self:
        ((size, root),) = connection.execute(_TREE).fetchall()
        return cls(
            entries=connection.execute(_ENTRIES).fetchall(),
            certificates=connection.execute(_CERTIFICATES).fetchall(),
            size=size,
            root=bytes(root),
            open_intents=[bytes(chip) for (chip,) in connection.execute(_INTENTS).fetchall()],
            tallies=connection.execute(_TALLIES).fetchall(),
            faults=faults,
        )

    @property
    def issued(self) -> list[tuple[int, dict[str, str]]]:
        """Return index and fields of each certificate's entry."""
        return [(index, json.loads(body)) for index, kind, body in self.entries if kind == "issued"]

    @property
    def lost(self) -> list[dict[str, Any]]:
        """Return the fields of each intent that ended without a certificate."""
        return [json.loads(body) for _, kind, body in self.entries if kind == "lost"]

    @property
    def counted(self) -> int:
        """Return how often the signers' counters were used, as far as the ledger knows."""
        return sum(map(sum, self.tallies))


def problems(contents: Contents, acknowledged: Sequence[Acknowledgement]) -> list[str]:
    """Return what is wrong with a ledger, in words; nothing if all that was acknowledged is in it, and once."""
    return [
        *contents.faults,
        *_missing(contents, acknowledged),
        *_doubled(contents),
        *_index_faults(contents),
        *_log_faults(contents, acknowledged),
    ]


def signature_problems(contents: Contents, used: int) -> list[str]:
    """Compare a module's own counter with the ledger: each signature is a certificate or a recorded loss."""
    if contents.counted == used:
        return []
    return [f"the module has signed {used} times, the ledger knows of {contents.counted}"]


def lost_certificates(contents: Contents, acknowledged: Iterable[Acknowledgement]) -> list[int]:
    """Return the chips whose acknowledged certificate is not in the ledger."""
    kept = {(fields["chip_serial"], _digest(fields)) for _, fields in contents.issued}
    return [
        number
        for number, certificate in certificates(acknowledged).items()
        if (chip_serial(number).hex(), certificate) not in kept
    ]


def _missing(contents: Contents, acknowledged: Sequence[Acknowledgement]) -> Iterator[str]:
    for number in lost_certificates(contents, acknowledged):
        yield f"the acknowledged certificate of chip {number} is missing"
    proven = {bytes(chip) for _, chip, _, _, proven in contents.certificates if proven is not None}
    for number in sorted({each.number for each in acknowledged if each.proven}):
        if chip_serial(number) not in proven:
            yield f"the acknowledged proof of chip {number} is missing"


def _doubled(contents: Contents) -> Iterator[str]:
    for name in ("chip_serial", "public_key", "certificate_serial", "certificate"):
        for value, count in Counter(fields[name] for _, fields in contents.issued).items():
            if count > 1:
                yield f"{count} certificates have the {name} {value}"


def _index_faults(contents: Contents) -> Iterator[str]:
    """Compare the table of certificates with the log."""
    names = ("chip_serial", "public_key", "certificate_serial")
    in_log = [(index, *(fields[name] for name in names)) for index, fields in contents.issued]
    in_table = [(index, *(bytes(value).hex() for value in row)) for index, *row, _ in contents.certificates]
    if in_log != in_table:
        yield f"the log has {len(in_log)} certificates, the table {len(in_table)}, and they differ"
    if sum(issued for issued, *_ in contents.tallies) != len(in_log):
        yield f"the signers' tallies are not the {len(in_log)} certificates of the log"


def _log_faults(contents: Contents, acknowledged: Sequence[Acknowledgement]) -> Iterator[str]:
    if [index for index, _, _ in contents.entries] != list(range(contents.size)):
        yield f"the log of {contents.size} entries has gaps"
    leaves = [sha256(b"\0" + body.encode("ascii")).digest() for _, _, body in contents.entries]
    if merkle_root(leaves) != contents.root:
        yield "the root of the log is not that of its entries"
    checkpoints = {checkpoint(each.checkpoint) for each in acknowledged if each.checkpoint}
    for size, root in sorted(checkpoints)[-_CHECKPOINTS_CHECKED:]:
        if size > len(leaves):
            yield f"a checkpoint over {size} entries was acknowledged, and the log has {len(leaves)}"
        elif merkle_root(leaves[:size]) != root:
            yield f"the log does not continue the acknowledged checkpoint over {size} entries"


def checkpoint(note: str) -> tuple[int, bytes]:
    """Return size and root of a checkpoint (C2SP tlog-checkpoint: origin, size, root in Base64, a line each)."""
    _, size, root, *_ = note.split("\n")
    return int(size), base64.b64decode(root, validate=True)


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash over hashes of leaves (RFC 6962, section 2.1)."""
    if not leaves:
        return sha256().digest()
    level = list(leaves)
    while len(level) > 1:
        # A hash without a neighbour moves up as it is: the same tree as the recursive definition.
        odd = level[-1:] if len(level) % 2 else []
        level = [sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)]
        level += odd
    return level[0]


def _digest(fields: dict[str, str]) -> str:
    return sha256(base64.b64decode(fields["certificate"])).hexdigest()
