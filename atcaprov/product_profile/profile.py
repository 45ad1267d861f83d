"""What one product needs: which chip, which certificate, and who may sign it."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path

from atcaprov.certs.descriptions.description import CertificateDescription
from atcaprov.provisioning.profile import Profile


class ProofPolicy(enum.StrEnum):
    """Whether the chip of each certificate must prove that it has the key."""

    REQUIRED = "required"
    """What is unproven in time is overdue, and a station that leaves too many gets no further certificates."""
    OPTIONAL = "optional"
    """What is unproven is listed, and warned about as the server's settings say."""
    NONE = "none"
    """Nothing unproven is listed or warned about."""


@dataclass(frozen=True, slots=True)
class ProofRule:
    """The `[proof]` table: when an unproven certificate is overdue, and how many of them a station may leave."""

    policy: ProofPolicy = ProofPolicy.OPTIONAL
    within_hours: int = 24
    most_overdue: int = 10


@dataclass(frozen=True, slots=True)
class SignerRule:
    """The `[signers]` table: public facts of the signers that may sign; whatever is empty is not asked for."""

    root_public_key: bytes = b""
    """X||Y, 64 bytes, of the root below which a signer must be."""
    name: str = ""
    """Common name without the signer id."""
    ids: frozenset[bytes] = frozenset()
    """2 bytes each."""

    def broken_rule(self, root_public_key: bytes, common_name: str, signer_id: bytes) -> str:
        """Return why a signer may not sign, as the end of a sentence about it; empty if it may.

        `common_name` is that of its certificate: the name, a space and the id as four hexadecimal digits.
        """
        if self.root_public_key and root_public_key != self.root_public_key:
            return "is not below the root of the profile"
        name = common_name[:-5]
        if self.name and name != self.name:
            return f"has the name '{name}', and the profile asks for '{self.name}'"
        if self.ids and signer_id not in self.ids:
            listed = ", ".join(sorted(each.hex().upper() for each in self.ids))
            return f"has the id {signer_id.hex().upper()}, and the profile asks for {listed}"
        return ""


@dataclass(frozen=True)
class ProductProfile:
    """A checked profile; `chip` is what a provisioning run of the product needs."""

    name: str
    title: str
    path: Path
    """Its file, for messages."""
    certificate: CertificateDescription
    chip: Profile
    signers: SignerRule = field(default_factory=SignerRule)
    proof: ProofRule = field(default_factory=ProofRule)

    @property
    def config_zone(self) -> bytes:
        """The 128 bytes that a chip of the product must have."""
        return self.chip.config_zone
