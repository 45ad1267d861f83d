"""The newest checkpoint of each ledger that this station has seen, so that a server with an older one is noticed.

One file for each ledger, named by its id. The log key is pinned when a ledger is first seen, or given beforehand.
Several programs may use the files.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from atcaprov import durable_files
from atcaprov.bounded_reading import MalformedError, parse_json, paths_in, read_bytes, status
from atcaprov.errors import AtcaProvError, CertificateError, Code, UsageError
from atcaprov.file_lock import try_lock
from atcaprov.transparency.ledger_checkpoint import LedgerCheckpoint, LedgerIdentity, LogOrigin, Relation
from atcaprov.transparency.verifier_keys import VerifierKey

_MODE: Final = 0o600
_LOCK: Final = "lock"
LOCK_SECONDS: Final = 1.0
"""So long a program waits for another one that writes; a board must not wait longer."""
_PAUSE: Final = 0.005
_SIZE_MAX: Final = 16 * 1024
_SUPERVISOR: Final = (
    "No chip was touched. Call the supervisor: the server was restored, or an old file is in its place."
)


@dataclass(frozen=True, slots=True)
class KnownLedger:
    """What is kept of a ledger: the key of its log, its newest checkpoint, and the servers that sent one."""

    key: VerifierKey
    newest: LedgerCheckpoint
    servers: tuple[str, ...]

    def to_bytes(self) -> bytes:
        """Return it as JSON."""
        fields = {"log_key": str(self.key), "checkpoint": self.newest.note.decode(), "servers": list(self.servers)}
        return f"{json.dumps(fields, indent=1)}\n".encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> KnownLedger:
        """Read `to_bytes`; raises MalformedError, UsageError."""
        fields: Any = parse_json(data)
        try:
            key, note, servers = VerifierKey.parse(fields["log_key"]), fields["checkpoint"], fields["servers"]
            if not all(isinstance(server, str) for server in servers):
                raise TypeError("a server is no text")
            return cls(key, LedgerCheckpoint.verified(note.encode(), key), tuple(servers))
        except (KeyError, TypeError, AttributeError) as error:
            raise MalformedError(f"it lacks a field: {error}") from error


class KnownCheckpoints:
    """The files of a station in a folder, as one server's client sees them.

    `server` names it as the client reaches it; `pinned` is the log key that it must have, if one was given. `warn`
    takes what is told once and stops nothing.
    """

    def __init__(
        self, folder: Path, server: str, warn: Callable[[AtcaProvError], None], pinned: VerifierKey | None = None
    ) -> None:
        self._folder = folder
        self._server = server
        self._warn = warn
        self._pinned = pinned
        self._before: dict[Path, bytes] = {}
        self._of_server: bytes | None = None
        self._missing_told = False

    def to_show(self) -> bytes:
        """Look at what is kept, and return the checkpoint for the request that is sent next.

        Its answer is compared with what was kept before it was asked for: others may keep a newer one meanwhile. Empty
        until the server has sent one since the connection: an older version takes none. Raises UsageError.
        """
        paths = paths_in(self._folder, "*.json") if self._of_server is None else [self._path(self._of_server)]
        self._before = {path: read_bytes(path, _SIZE_MAX) for path in paths if status(path) is not None}
        known = None if self._of_server is None else self._known(self._of_server)
        return b"" if known is None else known.newest.note

    def disconnected(self) -> None:
        """Note that the next answer may come from another server, or from one of an older version."""
        self._of_server = None

    def ledger(self) -> LedgerIdentity | None:
        """Return the ledger that the server was on, if it has sent checkpoints of one and no other; raises nothing."""
        with contextlib.suppress(AtcaProvError, OSError):
            kept = [_decoded(path, read_bytes(path, _SIZE_MAX)) for path in paths_in(self._folder, "*.json")]
            known = [each for each in kept if self._server in each.servers]
            if len(known) == 1:
                return LedgerIdentity(known[0].newest.origin.ledger_id, known[0].key.public_key)
        return None

    def seen(self, note: bytes, log_key: bytes) -> None:
        """Take what a server sent about its log before a chip is touched, both empty from an older one, and keep it.

        Raises:
            CertificateError: its ledger is older than the kept checkpoint (SERVER_BEHIND), or has other entries or
                another key (LEDGER_FORKED).
            UsageError: it is no checkpoint (LOG_INVALID, LOG_MISMATCH), or the file is damaged (FILE_INVALID).
        """
        if not note or not log_key:
            self._warn_of_missing()
            return
        self._of_server = _origin_of(note).ledger_id
        known = self._known(self._of_server)
        key = self._key(known, log_key)
        offered = LedgerCheckpoint.verified(note, key)
        if known is not None:
            _require_not_behind(offered, known.newest)
            if offered.origin.epoch > known.newest.origin.epoch:
                self._warn(_rolled_back(offered))
        self._keep(KnownLedger(key, offered, (self._server,)))

    def acknowledged(self, note: bytes) -> None:
        """Keep the checkpoint that came with a report, if it is a newer one of a known ledger; never raises."""
        with contextlib.suppress(AtcaProvError, OSError):
            known = _kept(self._path(_origin_of(note).ledger_id))
            if known is not None:
                newest = LedgerCheckpoint.verified(note, known.key)
                self._keep(replace(known, newest=newest, servers=(self._server,)))

    def _key(self, known: KnownLedger | None, log_key: bytes) -> VerifierKey:
        """Return the key that must have signed: the pinned one, the one of the first time, or the server's own."""
        try:
            sent = VerifierKey.parse(log_key.decode())
        except UnicodeDecodeError as error:
            raise UsageError("The server's log key is not text.", code=Code.LOG_INVALID) from error
        expected = self._pinned or (known.key if known is not None else sent)
        if (expected.type, expected.public_key) != (sent.type, sent.public_key):
            raise CertificateError(
                f"The server's log is signed by another key, {sent}, than the one that is known, {expected}.",
                advice=f"{_SUPERVISOR} If the key was replaced on purpose, remove the file of this ledger in"
                f" {self._folder}.",
                code=Code.LEDGER_FORKED,
            )
        return expected

    def _warn_of_missing(self) -> None:
        if self._missing_told or not any(self._server in _decoded(*kept).servers for kept in self._before.items()):
            return
        self._missing_told = True
        self._warn(
            CertificateError(
                f"The server at {self._server} sent no checkpoint of its ledger, and did before.",
                advice="If it was restored or replaced by an older version, call the supervisor.",
                code=Code.CHECKPOINT_MISSING,
            )
        )

    def _known(self, ledger_id: bytes) -> KnownLedger | None:
        """Return what was kept of a ledger when the server was asked."""
        path = self._path(ledger_id)
        return _decoded(path, self._before[path]) if path in self._before else None

    def _keep(self, ledger: KnownLedger) -> None:
        """Write what is newer than the file has; a program that holds the lock for long has about the same."""
        path = self._path(ledger.newest.origin.ledger_id)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self._folder / _LOCK) as mine:
                if mine:
                    kept = _kept(path)
                    newest = _merged(ledger, kept)
                    if newest != kept:
                        durable_files.replace(path, newest.to_bytes(), _MODE)
        except OSError as error:
            raise UsageError(
                f"The checkpoint of the server's ledger cannot be kept in {self._folder}: {error.strerror}.",
                advice="Make room on its disk, or choose another folder with --checkpoints.",
                code=Code.FILE_UNWRITABLE,
            ) from error

    def _path(self, ledger_id: bytes) -> Path:
        return self._folder / f"{ledger_id.hex()}.json"


def _origin_of(note: bytes) -> LogOrigin:
    """Return the log that a note says it is of; nothing is verified."""
    first = note.split(b"\n", 1)[0]
    return LogOrigin.parse(first.decode("utf-8", "replace"))


def _require_not_behind(offered: LedgerCheckpoint, known: LedgerCheckpoint) -> None:
    relation = offered.relation_to(known)
    if relation is Relation.FORKED:
        raise CertificateError(
            f"The server's ledger has other entries than it had: its {offered.size} entries are not those of the"
            " checkpoint that this station keeps.",
            advice=_SUPERVISOR,
            code=Code.LEDGER_FORKED,
        )
    if relation is Relation.OLDER:
        raise CertificateError(
            f"The server's ledger is older than it was: it has {_state(offered)}, and had {_state(known)}.",
            advice=_SUPERVISOR,
            code=Code.SERVER_BEHIND,
        )


def _state(checkpoint: LedgerCheckpoint) -> str:
    return f"{checkpoint.size} entries in epoch {checkpoint.origin.epoch}"


def _rolled_back(offered: LedgerCheckpoint) -> CertificateError:
    return CertificateError(
        f"The server's ledger was rolled back, and that was accepted: it goes on in epoch {offered.origin.epoch}.",
        advice="If the supervisor does not know of it, stop the line.",
        code=Code.LEDGER_ROLLED_BACK,
    )


def _merged(ledger: KnownLedger, kept: KnownLedger | None) -> KnownLedger:
    """Return the newer of both, with the servers of both."""
    if kept is None:
        return ledger
    servers = tuple(sorted({*ledger.servers, *kept.servers}))
    newer = ledger if ledger.newest.relation_to(kept.newest) is Relation.NEWER else kept
    return replace(newer, servers=servers)


def _kept(path: Path) -> KnownLedger | None:
    return None if status(path) is None else _decoded(path, read_bytes(path, _SIZE_MAX))


def _decoded(path: Path, data: bytes) -> KnownLedger:
    try:
        found = KnownLedger.from_bytes(data)
        if found.newest.origin.ledger_id.hex() != path.stem:
            raise MalformedError("it is of another ledger")
    except (MalformedError, UsageError) as error:
        raise UsageError(
            f"{path} is damaged: {error}.",
            advice="Restore it from a backup, or remove it: then an older ledger of its server is not noticed once.",
            code=Code.FILE_INVALID,
        ) from error
    return found


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Yield whether this program alone writes now; others need a few milliseconds."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, _MODE)
    try:
        mine, end = try_lock(descriptor), time.monotonic() + LOCK_SECONDS
        while not mine and time.monotonic() < end:
            time.sleep(_PAUSE)
            mine = try_lock(descriptor)
        yield mine
    finally:
        os.close(descriptor)
