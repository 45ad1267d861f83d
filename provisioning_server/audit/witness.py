"""A witness: it remembers the newest checkpoint of each log, and cosigns only what continues it.

Its folder holds `witness-key.pem`, and for each log a file with the log's verifier key and the newest checkpoint that
was cosigned. A log that forks or goes back is refused, also by a witness that was stopped at any moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import read_bytes, status
from atcaprov.errors import Code, UsageError
from atcaprov.file_lock import try_lock
from atcaprov.transparency.checkpoint import SignedCheckpoint
from atcaprov.transparency.merkle import verify_consistency
from atcaprov.transparency.signed_note import MAX_NOTE
from atcaprov.transparency.tiles import consistency_proof
from atcaprov.transparency.verifier_keys import Cosigner, VerifierKey
from provisioning_server.audit.log_key import open_key_file
from provisioning_server.audit.log_source import FolderLog

KEY_FILE: Final = "witness-key.pem"
_LOCK_FILE: Final = "lock"
_MODE: Final = 0o600


class Witness:
    """A witness with its folder."""

    def __init__(self, folder: Path, name: str) -> None:
        """Open the folder; make it and the key if they are missing. Raises UsageError."""
        self._folder = folder
        self._name = name
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(folder, error) from error
        self._key = open_key_file(folder / KEY_FILE, make=True)

    @property
    def verifier_key(self) -> VerifierKey:
        """Return the public key of its cosignatures."""
        return self._cosigner(0).key

    def cosign(self, log: FolderLog, now: int, trusted: VerifierKey | None = None) -> SignedCheckpoint:
        """Return the checkpoint of an exported log with a cosignature at the time `now`, seconds since 1970.

        The log must continue what was cosigned before; the first time its key must be given. What was cosigned is on
        the disk before this returns.

        Raises:
            UsageError: WITNESS_REFUSED if the log goes back or forks, or is unknown; LOG_MISMATCH for a wrong
                signature; FILE_UNWRITABLE.
        """
        signed = log.checkpoint
        with self._locked():
            key, before = self._remembered(signed.checkpoint.origin, trusted)
            signed.verify(key)
            if before is not None:
                _require_continues(before, log)
            cosigned = signed.cosigned_by(self._cosigner(now))
            self._remember(key, cosigned)
        return cosigned

    def _cosigner(self, now: int) -> Cosigner:
        return self._key.cosigner(self._name, now)

    def _remembered(self, origin: str, trusted: VerifierKey | None) -> tuple[VerifierKey, SignedCheckpoint | None]:
        path = self._file(origin)
        if status(path) is None:
            if trusted is None or trusted.name != origin:
                raise UsageError(
                    f"This witness does not know the log {origin}.",
                    advice="If its operators confirm that the log is new, give its verifier key with --trust.",
                    code=Code.WITNESS_REFUSED,
                )
            return trusted, None
        first, _, note = read_bytes(path, 2 * MAX_NOTE).partition(b"\n")
        key = VerifierKey.parse(first.decode("utf-8", "replace"))
        if trusted is not None and trusted != key:
            raise UsageError(
                f"This witness knows the log {origin} with another key: {key}.",
                advice="Ask its operators why the key has changed.",
                code=Code.WITNESS_REFUSED,
            )
        return key, SignedCheckpoint.parse(note)

    def _remember(self, key: VerifierKey, signed: SignedCheckpoint) -> None:
        path = self._file(signed.checkpoint.origin)
        try:
            durable_files.replace(path, f"{key}\n".encode() + signed.to_bytes(), _MODE)
        except OSError as error:
            raise _unwritable(path, error) from error

    def _file(self, origin: str) -> Path:
        return self._folder / f"log-{hashlib.sha256(origin.encode()).hexdigest()}"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep other runs out: between the look at the newest checkpoint and its replacement no other may come."""
        path = self._folder / _LOCK_FILE
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            if not try_lock(descriptor):
                raise UsageError(f"Another program uses the witness in {self._folder}.", code=Code.WITNESS_REFUSED)
            yield
        finally:
            os.close(descriptor)


def _require_continues(before: SignedCheckpoint, log: FolderLog) -> None:
    """Check with a proof made of the folder's tiles that the log continues the checkpoint that was cosigned last."""
    old, new = before.checkpoint, log.checkpoint.checkpoint
    if new.size < old.size:
        raise _refusal(f"The log {old.origin} went back from {old.size} entries to {new.size}.")
    try:
        proof = consistency_proof(old.size, new.size, log.tile)
        verify_consistency(old.size, old.root, new.size, new.root, proof)
    except UsageError as error:
        raise _refusal(f"The log {old.origin} does not continue its {old.size} entries: {error.what}") from error


def _refusal(what: str) -> UsageError:
    return UsageError(
        what,
        advice="Keep both checkpoints: they show that entries were changed or removed. Ask the operators of the log.",
        code=Code.WITNESS_REFUSED,
    )


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE)
