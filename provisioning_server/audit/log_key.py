"""The key that signs the checkpoints of a ledger: Ed25519, in a file of the data folder that only its owner may read.

The ledger keeps the public key of the first server, so a server with another key cannot sign for the same log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from atcaprov import durable_files
from atcaprov.bounded_reading import read_bytes, status
from atcaprov.errors import Code, UsageError
from atcaprov.transparency.verifier_keys import Cosigner, Ed25519Signer, NoteSigner
from provisioning_server.ledger.store import Ledger

KEY_FILE: Final = "log-key.pem"
_OWNER_ONLY: Final = 0o600
_MAX_KEY: Final = 4096


@dataclass(frozen=True, slots=True)
class LogChip:
    """A chip with the key of a log: its device URL and the slot."""

    url: str
    slot: int = 0


class LogKey(Protocol):
    """A private key that signs checkpoints under the name of a log."""

    @property
    def slow(self) -> bool:
        """Return whether a signature takes a tenth of a second, as in a chip, and not less than a millisecond."""

    def signer(self, origin: str) -> NoteSigner:
        """Return it as the signer of the log with this origin."""


class FileLogKey:
    """An Ed25519 key in memory. It is never printed and leaves only through `open_key_file`."""

    slow = False

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private

    def signer(self, origin: str) -> NoteSigner:
        """Return it as the signer of the log with this origin."""
        return Ed25519Signer(origin, self._private)

    def cosigner(self, name: str, time: int) -> Cosigner:
        """Return it as the key of a witness that signs at a time, in seconds since 1970."""
        return Cosigner(name, self._private, time)


def open_key_file(path: Path, *, make: bool) -> FileLogKey:
    """Return the key in a file; `make` makes a new one where there is no file, readable by its owner only.

    Raises:
        UsageError: KEY_FILE_INVALID, FILE_UNREADABLE or FILE_UNWRITABLE.
    """
    if make and status(path) is None:
        _write_new(path)
    try:
        private = load_pem_private_key(read_bytes(path, _MAX_KEY), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None  # whatever the parser says of the bytes of a key is not repeated
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(
            f"{path} is not an Ed25519 key in PEM without a password.",
            advice="Put the file back from a backup of the data folder.",
            code=Code.KEY_FILE_INVALID,
        )
    return FileLogKey(private)


def open_log_key(data: Path, ledger: Ledger) -> FileLogKey:
    """Return the key in a data folder; make it if neither the folder nor the ledger has one.

    Raises:
        UsageError: as `open_key_file`; LOG_KEY_OTHER if the ledger has a key and the folder has none.
    """
    path = data / KEY_FILE
    if status(path) is None and ledger.log_key():
        raise UsageError(
            f"{path} is missing, and the checkpoints of this ledger were signed with a key before.",
            advice="Put the file back from a backup, or copy it from another server on the same ledger.",
            code=Code.LOG_KEY_OTHER,
        )
    return open_key_file(path, make=True)


def _write_new(path: Path) -> None:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        durable_files.write_new(path, pem, _OWNER_ONLY)
        durable_files.sync_folder(path.parent)
    except OSError as error:
        raise UsageError(
            f"Cannot write {path}: {error.strerror}.",
            advice="Check the permissions of the folder, and make room on its disk.",
            code=Code.FILE_UNWRITABLE,
        ) from error
