"""What the server asks of a signer, whatever holds its key: a file, a module, an HSM."""

from __future__ import annotations

from typing import Protocol

from provisioning_server.signer_documents import SignerDocuments


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
        """Whether it signs; False while it waits for its password."""

    def unlock(self, password: bytes | None) -> None:
        """Make it ready. Raises UsageError PASSWORD_WRONG or KEY_FILE_INVALID."""

    def sign(self, digest: bytes) -> bytes:
        """Return R||S (64 bytes) over a SHA-256 digest (32 bytes). Only of a signer that is ready."""


def label(serial: bytes, name: str) -> str:
    """How log lines and prompts name a signer: `Signer (01231E6CD82CA571EE, Example ATECC508A Signer)`."""
    printable = "".join(character if character.isprintable() else "?" for character in name)
    return f"Signer ({serial.hex().upper()}, {printable})"
