"""What the server asks of a signer with its key in a file, a module or an HSM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from provisioning_server.records.signer_documents import SignerDocuments


@dataclass(frozen=True, slots=True)
class SignatureCounter:
    """A counter that the key's chip advances with each signature: where it stands, as far as is known without asking.

    `first` is where it stood when the signer was made; None if that is not known.
    """

    value: int
    first: int | None = None

    @property
    def used(self) -> int | None:
        """Return how many signatures were made since the signer was made; None if that is not known."""
        return None if self.first is None else self.value - self.first


class Signer(Protocol):
    """A device CA: its identity, the documents it issues with, and a key that may wait for its password."""

    @property
    def serial(self) -> bytes:
        """9 bytes by which operators tell signers apart."""

    @property
    def name(self) -> str:
        """Common name of the signer certificate without the signer id."""

    @property
    def signer_id(self) -> bytes:
        """2 bytes."""

    @property
    def documents(self) -> SignerDocuments:
        """Certificates and definitions."""

    @property
    def ready(self) -> bool:
        """Return whether it signs; False while it waits for its password."""

    @property
    def slow(self) -> bool:
        """Return whether a signature takes so long that it gets a thread of its own: a chip, an HSM."""

    @property
    def wrong_tries_at(self) -> str | None:
        """Names what counts wrong passwords, such as a chip or a token; None where a try costs nothing."""

    @property
    def remaining(self) -> int | None:
        """Signatures that are left of its quota; None if it has no quota."""

    @property
    def counter(self) -> SignatureCounter | None:
        """What counts its signatures outside this computer; None if nothing does, or it cannot be read.

        It advances with each signature, also with one whose answer is lost, and never goes back. It is asked when the
        signer is opened or unlocked, and counted on with each `sign`. The ledger is compared with it when the signer is
        chosen for the first time, and after each signature of a slow one. No quick signer has a counter: one that gets
        one must be slow, or be compared in `Certification.sign`.
        """

    @property
    def quota_low(self) -> bool:
        """Return whether its successor should be made now; False if it has no quota."""

    @property
    def password_missing(self) -> bool:
        """Return whether it can have a password and has none yet: anyone who reaches it can sign with it."""

    def unlock(self, password: bytes | None) -> None:
        """Make it ready.

        Raises UsageError PASSWORD_WRONG or KEY_FILE_INVALID; PASSWORD_MEMORY when nothing was tried for want of memory.
        """

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes). Only of a signer that is ready.

        Raises TransportError when the signer is gone, DeviceError QUOTA_USED_UP; any other exception means that
        it cannot be trusted any more.
        """

    def rest(self) -> None:
        """Let the key's chip or token sign for no other user, since nothing is to be signed for a while.

        It stays ready and is never asked while it signs. Raises nothing: the next signature tells what is wrong.
        """

    def close(self) -> None:
        """Forget the password and release the key's file, chip or token."""
