"""A signer whose key is in an HSM or a smart card, reached through PKCS#11.

Its folder is that of a signer on files with `pkcs11.toml` instead of `key.pem`: the library of the HSM's maker, the
label of the token, the label of the key. The PIN is the password.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

from provisioning_server.records.signer_documents import SignerDocuments
from provisioning_server.signers.signer import SignatureCounter
from signer_module.hsm.key import HsmKey
from signer_module.on_files.pkcs11_file import PLACE_FILE, KeyPlace
from signer_module.on_files.signer_folder import SignerFolder, is_in_hsm


class HsmSigner:
    """Signs with a key that never leaves its HSM. It is logged in from `unlock` until `close`."""

    slow = True
    remaining: int | None = None
    counter: SignatureCounter | None = None
    quota_low = False
    password_missing = False

    def __init__(self, folder: SignerFolder, place: KeyPlace) -> None:
        self.name = folder.name
        self.serial = folder.serial
        self.signer_id = folder.signer_id
        self.wrong_tries_at = f"token {place.token} of {place.library}"
        self.documents = SignerDocuments.of(folder)
        self._key = HsmKey(place)

    @staticmethod
    def is_at(path: Path) -> bool:
        """Return whether a signer folder says that its key is in an HSM."""
        return is_in_hsm(path)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a signer folder; the HSM is not asked for anything.

        Raises UsageError for its files, CertificateError when its parts do not belong together.
        """
        return cls(SignerFolder.load(path, key_elsewhere=True), KeyPlace.read(path / PLACE_FILE))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read a signer folder and find its token; raises as `load`, and TransportError when the token is not there."""
        signer = cls.load(path)
        signer.check_present()
        return signer

    @property
    def ready(self) -> bool:
        """Return whether it is logged in."""
        return self._key.ready

    def unlock(self, password: bytes | None) -> None:
        """Log in with the PIN and find the key.

        Raises UsageError PASSWORD_WRONG, or HSM_UNUSABLE when the PIN is locked or the key is missing, CertificateError
        KEY_MISMATCH, TransportError when the token is gone.
        """
        self._key.open(password, self.documents.signer_public_key)

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes); raises TransportError when the HSM fails."""
        return self._key.sign(digest)

    def rest(self) -> None:
        """Do nothing: a token forgets its PIN when this process ends."""

    def check_present(self) -> None:
        """Raise TransportError when the token is gone."""
        self._key.check_present()

    def close(self) -> None:
        """Log out."""
        self._key.close()
