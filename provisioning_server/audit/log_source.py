"""Where an auditor reads a log: an exported folder, or the ledger itself. Nothing that is read is trusted."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from atcaprov.bounded_reading import is_folder, paths_in, read_bytes, status
from atcaprov.errors import Code, UsageError
from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.signed_note import MAX_NOTE
from atcaprov.transparency.tile_files import CHECKPOINT_FILE, MAX_BUNDLE, TilePath, unpack_bundle, widths
from atcaprov.transparency.tiles import FULL_TILE, TILE_WIDTH
from provisioning_server.ledger.store import Ledger, TreeHead
from provisioning_server.records.signer_documents import SignerDocuments

DOCUMENTS_FOLDER: Final = "documents"
COSIGNED_FOLDER: Final = "cosigned"
VERIFIER_KEY_FILE: Final = "verifier-key"
_MAX_DOCUMENTS: Final = 1 << 16


class LogSource(Protocol):
    """A log as it is found. Every method raises UsageError for what is missing or damaged."""

    def head(self) -> TreeHead:
        """Return the head that is to be checked."""

    def tile(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile, 32 bytes each."""

    def bundle(self, number: int) -> Sequence[bytes]:
        """Return the entries of a bundle of 256, fewer in the last one."""

    def documents(self, document_id: str) -> SignerDocuments:
        """Return the signer documents with an id, which is not checked."""


class FolderLog:
    """A folder that `audit export` wrote, or a copy of it."""

    def __init__(self, path: Path) -> None:
        """Raise UsageError (FILE_UNREADABLE, LOG_INVALID) if it is not such a folder."""
        if not is_folder(path):
            raise UsageError(f"There is no folder {path}.", code=Code.FILE_UNREADABLE)
        self.path = path
        self.checkpoint = SignedCheckpoint.parse(read_bytes(path / CHECKPOINT_FILE, MAX_NOTE))

    def head(self) -> TreeHead:
        """Return the head of its checkpoint, whose signature is not checked."""
        return TreeHead(self.checkpoint.checkpoint.size, self.checkpoint.checkpoint.root)

    def tile(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile as its file has them."""
        return self._tile_file(TilePath(level, number, self._width(level, number)), FULL_TILE)

    def bundle(self, number: int) -> Sequence[bytes]:
        """Return the entries of a bundle."""
        path = TilePath(None, number, self._width(0, number))
        entries = unpack_bundle(self._tile_file(path, MAX_BUNDLE))
        if len(entries) < path.width:
            raise UsageError(
                f"{self.path / str(path)} has {len(entries)} entries, not {path.width}.", code=Code.LOG_INVALID
            )
        return entries[: path.width]

    def documents(self, document_id: str) -> SignerDocuments:
        """Return the signer documents of an id."""
        name = document_id if document_id.isalnum() and document_id.isascii() else "unnamed"
        return SignerDocuments.from_bytes(read_bytes(self.path / DOCUMENTS_FOLDER / f"{name}.cbor", _MAX_DOCUMENTS))

    def cosigned(self) -> list[SignedCheckpoint]:
        """Return the checkpoints that witnesses have cosigned, as far as they are kept; signatures are not checked."""
        paths = paths_in(self.path / COSIGNED_FOLDER, "*")
        return [SignedCheckpoint.parse(read_bytes(path, MAX_NOTE)) for path in paths]

    def verifier_key(self) -> str:
        """Return the verifier key that lies in the folder; empty if none does."""
        path = self.path / VERIFIER_KEY_FILE
        return "" if status(path) is None else read_bytes(path, MAX_NOTE).decode("utf-8", "replace").strip()

    def _width(self, level: int, number: int) -> int:
        full, partial = widths(self.head().size, level)
        return partial if number == full and partial else TILE_WIDTH

    def _tile_file(self, path: TilePath, most: int) -> bytes:
        """Read a tile. Where only a part of it is needed, the full one will do, into which it has grown."""
        file = self.path / str(path)
        if path.width < TILE_WIDTH and status(file) is None:
            full = self.path / str(TilePath(path.level, path.number))
            if status(full) is not None:
                file = full
        return read_bytes(file, most)


class LedgerLog:
    """The log in a ledger itself, up to the head at the moment when this was made."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._head = ledger.head()
        # A ledger ends at its first error, so it is not asked for documents that it may not have.
        self._documents = {each.document_id: each for each in ledger.known_documents()}

    def head(self) -> TreeHead:
        """Return the head that the ledger says it has."""
        return self._head

    def tile(self, level: int, number: int) -> bytes:
        """Return the hashes of a tile as the ledger has them."""
        return self.ledger.tile(level, number)

    def bundle(self, number: int) -> Sequence[bytes]:
        """Return the entries of a bundle; an entry that is missing, or not of the kind it is filed under, is empty."""
        start = number * TILE_WIDTH
        count = min(TILE_WIDTH, self._head.size - start)
        entries = [b""] * count
        for entry in self.ledger.entries(start, count):
            if entry.index < start + count and f'"kind":"{entry.kind}"'.encode() in entry.body:
                entries[entry.index - start] = entry.body
        return entries

    def documents(self, document_id: str) -> SignerDocuments:
        """Return the signer documents of an id."""
        if document_id not in self._documents:
            raise UsageError("The ledger does not have them.", code=Code.LOG_INVALID)
        return self._documents[document_id]


class EntryReader:
    """Single entries of a log, by index; the bundles that were read last are kept."""

    def __init__(self, source: LogSource) -> None:
        self._bundle = functools.lru_cache(maxsize=16)(source.bundle)
        self._size = source.head().size

    def read(self, index: int) -> bytes:
        """Return the bytes of an entry; raises UsageError."""
        if not 0 <= index < self._size:
            raise UsageError(f"A log with {self._size} entries has no entry {index}.", code=Code.LOG_INVALID)
        return self._bundle(index // TILE_WIDTH)[index % TILE_WIDTH]
