"""A signer whose key is a file: the folder that signer-module makes."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.signer import SignatureCounter
from signer_module.on_files.key_file import SoftwareKey
from signer_module.on_files.signer_folder import SignerFolder


class SoftwareSigner:
    """Signs with the key of a signer folder. The key is in memory from `unlock` on, and nowhere else."""

    slow = False
    remaining: int | None = None
    counter: SignatureCounter | None = None
    quota_low = False
    password_missing = False
    wrong_tries_at: str | None = None

    def __init__(self, folder: SignerFolder) -> None:
        self.name = folder.name
        self.serial = folder.serial
        self.signer_id = folder.signer_id
        self.documents = SignerDocuments.of(folder)
        self._folder = folder
        self._key: SoftwareKey | None = None

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a signer folder; a key that is not encrypted is ready at once.

        Raises UsageError for its files, CertificateError when its parts do not belong together.
        """
        signer = cls(SignerFolder.load(path))
        if not signer._folder.key_is_encrypted:
            signer.unlock(None)
        return signer

    @property
    def ready(self) -> bool:
        """Return whether the key was unlocked."""
        return self._key is not None

    def unlock(self, password: bytes | None) -> None:
        """Read the key; raises UsageError PASSWORD_WRONG or KEY_FILE_INVALID, CertificateError KEY_MISMATCH."""
        self._key = self._folder.unlock(password)

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes)."""
        assert self._key is not None, "a signer that is not ready was asked to sign"
        return self._key.sign(digest)

    def rest(self) -> None:
        """Do nothing: no one else reaches the key."""

    def close(self) -> None:
        """Forget the key if it is behind a password."""
        if self._folder.key_is_encrypted:
            self._key = None
