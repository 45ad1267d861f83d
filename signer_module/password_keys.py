"""From a password to the two secrets with which a module's chip enforces it.

scrypt (RFC 7914) makes a guess expensive: 64 bytes, of which the first half authorizes (slot 1) and the second half
lets the password be changed (slot 3). A module whose password was not set yet has secrets that everybody can compute.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from atcaprov.errors import UsageError

SALT_SIZE: Final = 16
COST: Final = 17
"""log2 of scrypt's N for new modules: with r = 8 each guess takes 128 MiB."""
LEAST_COST: Final = 10
MOST_COST: Final = 20
_BLOCK_SIZE: Final = 8
_SECRET_SIZE: Final = 32
_NO_PASSWORD: Final = b"atcaprov signer module, no password set"


@dataclass(frozen=True)
class PasswordScheme:
    """How a module turns passwords into secrets: salt (16 bytes) and log2 of scrypt's N."""

    salt: bytes
    cost: int = COST

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_SIZE or not LEAST_COST <= self.cost <= MOST_COST:
            raise UsageError("The module's password scheme is not one that this program knows.")

    def secrets(self, password: bytes | None) -> PasswordSecrets:
        """Return the secrets of a password; of None, those of a module whose password was not set yet."""
        if password is None:
            made = hashlib.sha512(_NO_PASSWORD + self.salt).digest()
        else:
            made = hashlib.scrypt(
                password,
                salt=self.salt,
                n=1 << self.cost,
                r=_BLOCK_SIZE,
                p=1,
                maxmem=(1 << self.cost) * 128 * _BLOCK_SIZE + (1 << 20),
                dklen=2 * _SECRET_SIZE,
            )
        return PasswordSecrets(made[:_SECRET_SIZE], made[_SECRET_SIZE:])


@dataclass(frozen=True)
class PasswordSecrets:
    """The 32 bytes of slot 1 and of slot 3."""

    authorization: bytes = field(repr=False)
    write_key: bytes = field(repr=False)
