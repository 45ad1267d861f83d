"""The signers of this server. A request picks one by its public key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from atcaprov.errors import UsageError
from provisioning_server.signers.signer import Signer, label


class SignerRoster:
    """Signers by their public key, in the order in which they were named."""

    def __init__(self, signers: Iterable[Signer]) -> None:
        self._by_key: dict[bytes, Signer] = {}
        for signer in signers:
            key = signer.documents.signer_public_key
            if key in self._by_key:
                raise UsageError(
                    f"{label(signer.serial, signer.name)} was named twice.", advice="Name each signer once."
                )
            _check(signer)
            self._by_key[key] = signer

    def __iter__(self) -> Iterator[Signer]:
        return iter(self._by_key.values())

    def find(self, public_key: bytes) -> Signer | None:
        """Return the signer with this public key (64 bytes X||Y), if it is here."""
        return self._by_key.get(public_key)

    def waiting(self) -> list[Signer]:
        """Return the signers that wait for their passwords."""
        return [signer for signer in self if not signer.ready]


def _check(signer: Signer) -> None:
    """Find out at the start, not at a board, that a signer can't serve; raises CertificateError or UsageError."""
    documents = signer.documents
    assert documents.offer
    assert documents.signer_writes
    assert documents.device.issuable
