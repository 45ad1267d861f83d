"""Write a ledger's log to a folder that any web server can offer as a tiled log (C2SP tlog-tiles).

Beside its files there are `documents/`, the certificates and definitions of signers, `verifier-key`, and `cosigned/`,
the checkpoints that witnesses have cosigned. A further run adds what is new.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import durable_files
from atcaprov.bounded_reading import status
from atcaprov.errors import Code, UsageError
from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.merkle import HASH_SIZE
from atcaprov.transparency.tile_files import CHECKPOINT_FILE, TilePath, pack_bundle, widths
from atcaprov.transparency.tiles import TILE_WIDTH, read_hashes, tree_root
from provisioning_server.audit.log_signer import LogSigner, of_one_ledger
from provisioning_server.audit.log_source import COSIGNED_FOLDER, DOCUMENTS_FOLDER, VERIFIER_KEY_FILE, FolderLog
from provisioning_server.ledger.store import Ledger
from provisioning_server.records.signer_documents import SignerDocuments

_MODE: Final = 0o644


class LogExport:
    """Brings a folder up to a checkpoint of a ledger."""

    def __init__(self, ledger: Ledger, signer: LogSigner, folder: Path) -> None:
        self._ledger = ledger
        self._signer = signer
        self._folder = folder

    def run(self) -> tuple[int, SignedCheckpoint]:
        """Return how many entries the folder had, and its checkpoint now, which is written last.

        Raises:
            UsageError: LOG_MISMATCH if the folder has another log, or one that the ledger does not continue;
                FILE_UNWRITABLE; LOG_INVALID if the ledger's tiles are damaged.
        """
        signed = self._signer.checkpoint()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            before = self._earlier(signed)
            for documents in self._ledger.known_documents():
                self._write_documents(documents)
            self._write_tiles(before.checkpoint.size if before else 0, signed.checkpoint.size)
            self._write(VERIFIER_KEY_FILE, f"{self._signer.verifier_key}\n".encode())
            if before is None or before.note.text != signed.note.text:
                self._write(CHECKPOINT_FILE, signed.to_bytes())
            else:
                signed = before  # with the cosignatures that it may have
        except OSError as error:
            raise UsageError(
                f"{error.filename or self._folder} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE
            ) from error
        return before.checkpoint.size if before else 0, signed

    def _earlier(self, signed: SignedCheckpoint) -> SignedCheckpoint | None:
        """Return the checkpoint in the folder, if there is one that the ledger continues. A cosigned one is kept."""
        if status(self._folder / CHECKPOINT_FILE) is None:
            return None
        before = FolderLog(self._folder).checkpoint
        old, new = before.checkpoint, signed.checkpoint
        same_ledger = of_one_ledger(old.origin, new.origin)
        if not same_ledger or old.size > new.size or tree_root(old.size, self._ledger.tile) != old.root:
            raise UsageError(
                f"The ledger does not continue the log in {self._folder}: {old.size} entries of {old.origin}.",
                advice="Name another folder. If this was an export of the ledger, find out which of both was changed.",
                code=Code.LOG_MISMATCH,
            )
        if len(before.note.signatures) > 1:
            self._write(f"{COSIGNED_FOLDER}/{old.size:012d}-{old.root.hex()[:8]}", before.to_bytes())
        return before

    def _write_documents(self, documents: SignerDocuments) -> None:
        name = f"{DOCUMENTS_FOLDER}/{documents.document_id}"
        certificates = (documents.signer_certificate, documents.root_certificate)
        pem = b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in certificates)
        if status(self._folder / f"{name}.cbor") is None:
            self._write(f"{name}.pem", pem)
            self._write(f"{name}.cbor", documents.to_bytes())

    def _write_tiles(self, done: int, size: int) -> None:
        level = 0
        while size >> (8 * level):
            first = widths(done, level)[0]
            full, partial = widths(size, level)
            for number in range(first, full + (partial > 0)):
                width = TILE_WIDTH if number < full else partial
                if width == TILE_WIDTH or widths(done, level) != (number, width):
                    self._write_tile(level, number, width)
            level += 1

    def _write_tile(self, level: int, number: int, width: int) -> None:
        hashes = read_hashes(self._ledger.tile, level, number, width)
        self._write(str(TilePath(level, number, width)), hashes[: width * HASH_SIZE])
        if level == 0:
            entries = self._ledger.entries(number * TILE_WIDTH, width)
            if [entry.index for entry in entries] != list(range(number * TILE_WIDTH, number * TILE_WIDTH + width)):
                raise UsageError(
                    f"Entries {number * TILE_WIDTH} and following of the ledger are not complete.",
                    advice="The ledger is damaged. Restore it from a backup.",
                    code=Code.LOG_INVALID,
                )
            self._write(str(TilePath(None, number, width)), pack_bundle([entry.body for entry in entries]))
            self._drop_partial(TilePath(None, number, width))
        self._drop_partial(TilePath(level, number, width))

    def _drop_partial(self, path: TilePath) -> None:
        """Remove the partial files of a tile that is full now."""
        if path.width == TILE_WIDTH:
            shutil.rmtree(self._folder / f"{path}.p", ignore_errors=True)

    def _write(self, name: str, data: bytes) -> None:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        durable_files.replace(path, data, _MODE)
