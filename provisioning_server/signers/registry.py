"""The registry of connected signers. A request picks one by its public key, or any of its group.

May be used from any thread: what is read is a snapshot.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from atcaprov.errors import UsageError
from atcaprov.wire.messages import ErrorReply
from provisioning_server import rejections
from provisioning_server.log_names import label
from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.signer import Signer


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """A connected signer; `trouble` is the reply to its requests if it is excluded, `reason` is for the log."""

    signer: Signer
    trouble: ErrorReply | None = None
    reason: str = ""


class AlreadyConnectedError(UsageError):
    """A signer with the same key is connected already."""


class SignerRegistry:
    """Signers by their public key, in the order in which they came.

    While more are expected, because not everything has been opened yet, no request is refused permanently.
    """

    def __init__(self, signers: Iterable[Signer] = ()) -> None:
        self._lock = threading.Lock()
        self._entries: dict[bytes, RegistryEntry] = {}
        self._more_expected = False
        self.changes = 0
        """How often a signer was added, removed or excluded."""
        self._ca_keys: set[bytes] = set()
        self._seen: dict[bytes, SignerDocuments] = {}
        self._away: dict[bytes, SignerDocuments] = {}
        """Signers that were unplugged since the start and have certificates left to issue."""
        for signer in signers:
            self.add(signer)

    def __iter__(self) -> Iterator[Signer]:
        return iter([entry.signer for entry in self.entries()])

    def __contains__(self, signer: Signer) -> bool:
        return any(each is signer for each in self)

    def require_new(self, signer: Signer) -> None:
        """Raise CertificateError or UsageError if a signer cannot serve, AlreadyConnectedError for a known key."""
        _check(signer)
        here = self._entries.get(signer.documents.signer_public_key)
        if here is not None:
            raise AlreadyConnectedError(
                f"{label(here.signer.serial, here.signer.name)} is connected already.",
                advice="Name or plug in each signer once.",
            )

    def expect_more(self) -> None:
        """Tell requests for unknown keys to try again."""
        self._more_expected = True

    def expect_no_more(self) -> None:
        """Refuse requests for unknown keys permanently from now on."""
        self._more_expected = False

    def entry_of(self, public_key: bytes) -> RegistryEntry | None:
        """Return the entry of a public key (64 bytes X||Y)."""
        return self._entries.get(public_key)

    def add(self, signer: Signer) -> None:
        """Add a signer; raises as `require_new`."""
        with self._lock:
            self.require_new(signer)
            self._entries[signer.documents.signer_public_key] = RegistryEntry(signer)
            self.changes += 1
            self._seen[signer.documents.signer_public_key] = signer.documents
            self._ca_keys |= signer.documents.ca_keys
            self._away.pop(signer.documents.signer_public_key, None)

    def remember(self, documents: SignerDocuments) -> None:
        """Remember a signer from before the start, unless it is connected again; a later call wins."""
        with self._lock:
            self._ca_keys |= documents.ca_keys
            if documents.signer_public_key not in self._entries:
                self._seen[documents.signer_public_key] = documents

    def remove(self, signer: Signer) -> bool:
        """Remove a signer; return whether it was connected. Its documents stay known."""
        with self._lock:
            entry = self._entries.get(signer.documents.signer_public_key)
            if entry is None or entry.signer is not signer:
                return False
            del self._entries[signer.documents.signer_public_key]
            if entry.trouble is not rejections.QUOTA_USED_UP:
                self._away[signer.documents.signer_public_key] = signer.documents
            self.changes += 1
            return True

    def exclude(self, signer: Signer, trouble: ErrorReply, reason: str = "") -> None:
        """Exclude a signer until it is reconnected; `trouble` is the reply to its requests."""
        key = signer.documents.signer_public_key
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and entry.signer is signer:
                self._entries[key] = replace(entry, trouble=trouble, reason=reason)
                self.changes += 1

    def is_ca_key(self, public_key: bytes) -> bool:
        """Return whether a key (X||Y) belongs to a signer that is or was connected, or to the CA above one."""
        return public_key in self._ca_keys

    def usable(self, signer: Signer) -> bool:
        """Return whether a signer is connected, ready and not excluded."""
        return any(entry.signer is signer and _ready(entry) for entry in self.entries())

    def documents_of(self, public_key: bytes) -> SignerDocuments | None:
        """Return the documents of a signer that is or was connected."""
        return self._seen.get(public_key)

    def choose(self, public_key: bytes, group: bytes | None = None) -> list[Signer] | ErrorReply:
        """Return the signers that may serve a request, the named one first, or why none does.

        `public_key` (64 bytes X||Y) names a signer; with a `group` (32 bytes) its other signers serve too.
        """
        named = self._entries.get(public_key)
        if group is None and named is not None and _ready(named):  # most requests: no list is made for them
            return [named.signer]
        entries = [entry for entry in self.entries() if _fits(entry.signer.documents, public_key, group)]
        entries.sort(key=lambda entry: entry.signer.documents.signer_public_key != public_key)
        ready = [entry.signer for entry in entries if _ready(entry)]
        if ready:
            return ready
        if any(entry.trouble is None for entry in entries):
            return rejections.SIGNER_NOT_READY
        troubles = [entry.trouble for entry in entries if entry.trouble is not None]
        return self._why_none(public_key, group, troubles)

    def _why_none(self, public_key: bytes, group: bytes | None, troubles: list[ErrorReply]) -> ErrorReply:
        """Return why no signer serves; `troubles` are those of the connected ones. Permanent reasons come last."""
        passing = next((trouble for trouble in troubles if trouble.retryable), None)
        if passing is not None:
            return passing
        if any(_fits(documents, public_key, group) for documents in self._away.copy().values()):
            return rejections.SIGNER_UNPLUGGED
        if not troubles and public_key in self._seen:
            return rejections.SIGNER_UNPLUGGED
        if self._more_expected and (group is not None or not troubles):
            return rejections.SIGNERS_EXPECTED
        return troubles[0] if troubles else rejections.SIGNER_UNKNOWN

    def waiting(self) -> list[Signer]:
        """Return the signers that wait for their passwords."""
        return [entry.signer for entry in self.entries() if entry.trouble is None and not entry.signer.ready]

    def entries(self) -> list[RegistryEntry]:
        """Return all connected signers, in the order in which they came."""
        with self._lock:
            return list(self._entries.values())


def _fits(documents: SignerDocuments, public_key: bytes, group: bytes | None) -> bool:
    return documents.signer_public_key == public_key or (group is not None and documents.group == group)


def _ready(entry: RegistryEntry) -> bool:
    return entry.trouble is None and entry.signer.ready


def _check(signer: Signer) -> None:
    """Raise CertificateError or UsageError if a signer cannot serve: when it comes, not at the first board."""
    documents = signer.documents
    documents.check()
    documents.device.require_issuable()
