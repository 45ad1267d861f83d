"""Derive the two secrets with which a module's chip enforces a password.

scrypt (RFC 7914) makes a guess expensive. Its result is mixed with the chip's answer to it under the chip's own secret
(slot 2), so that no guess can be confirmed without asking this chip. The first half of the resulting 64 bytes
authorizes (slot 1), the second half lets the password be changed (slot 3).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.device.key_authorization import mac
from atcaprov.errors import Code, UsageError
from signer_module.on_chip.slot_layout import CHIP_SECRET_SLOT

SALT_SIZE: Final = 16
COST: Final = 17
"""log2 of scrypt's N for new modules: with r = 8 each guess takes 128 MiB."""
LEAST_COST: Final = 15
MOST_COST: Final = 20
_BLOCK_SIZE: Final = 8
_SECRET_SIZE: Final = 32
_NO_PASSWORD: Final = b"atcaprov signer module, no password set"
_CHALLENGE: Final = b"atcaprov signer module, challenge"
_SECRETS: Final = b"atcaprov signer module, secrets"

AskChip = Callable[[bytes], bytes]
"""Gives the MAC (32 bytes) of a challenge (32 bytes) under the chip's own secret."""
_KEY_SIZE: Final = 32


class CostRule:
    """The least cost that a module may have, so that a forgery cannot ask for a password that is cheap to guess.

    Only tests that need many modules lower it, inside their own process; no option or variable of a program does.
    """

    least = LEAST_COST


@dataclass(frozen=True)
class PasswordScheme:
    """How a module turns passwords into secrets: salt (16 bytes) and log2 of scrypt's N."""

    salt: bytes
    cost: int = COST

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_SIZE or not 0 < self.cost <= MOST_COST:
            raise UsageError("This program does not know the module's password scheme.", code=Code.PASSWORD_SCHEME)

    def require_costly(self) -> None:
        """Raise UsageError (password-scheme) if guesses are so cheap that no password should be given to the module."""
        if self.cost < CostRule.least:
            raise UsageError(
                f"The module asks for a password with scrypt cost {self.cost}; less than {CostRule.least} is not safe.",
                advice="Do not give it a password: it may be a forgery. If it is yours, create a new module.",
                code=Code.PASSWORD_SCHEME,
            )

    def secrets(self, password: bytes | None, ask_chip: AskChip | None) -> PasswordSecrets:
        """Return the secrets of a password; of None, those of a module whose password was not set yet.

        `ask_chip` None: a module of the first layout, whose chip has no secret of its own. Raises UsageError
        (password-scheme) when the cost is too low, (password-memory) when it is too much for the memory that is free,
        before the chip is asked; and everything that `ask_chip` raises.
        """
        if password is None:
            return PasswordSecrets.halves(hashlib.sha512(_NO_PASSWORD + self.salt).digest())
        self.require_costly()
        stretched = self._stretched(password)
        if ask_chip is None:
            return PasswordSecrets.halves(stretched)
        answer = ask_chip(hmac.digest(stretched, _CHALLENGE, "sha256"))
        return PasswordSecrets.halves(hmac.digest(stretched, _SECRETS + answer, "sha512"))

    def _stretched(self, password: bytes) -> bytes:
        try:
            return hashlib.scrypt(
                password,
                salt=self.salt,
                n=1 << self.cost,
                r=_BLOCK_SIZE,
                p=1,
                maxmem=(1 << self.cost) * 128 * _BLOCK_SIZE + (1 << 20),
                dklen=2 * _SECRET_SIZE,
            )
        except (ValueError, MemoryError) as error:  # OpenSSL reports memory that it did not get as a ValueError
            size = (1 << self.cost) * 128 * _BLOCK_SIZE >> 20
            raise UsageError(
                f"The module's password cannot be tried: that takes {size} MiB of memory, more than this computer has.",
                advice="Close other programs, raise the memory limit of this one, or use another computer.",
                code=Code.PASSWORD_MEMORY,
            ) from error


@dataclass(frozen=True)
class PasswordSecrets:
    """The 32 bytes of slot 1 and of slot 3."""

    authorization: bytes = field(repr=False)
    write_key: bytes = field(repr=False)

    @classmethod
    def halves(cls, made: bytes) -> PasswordSecrets:
        """Return 64 bytes as two secrets."""
        return cls(made[:_SECRET_SIZE], made[_SECRET_SIZE:])


@dataclass(frozen=True)
class ChipSecret:
    """The secret in slot 2 while a module is created; it never leaves the chip.

    32 bytes are the key. The other 4 keep the CRC of the data lock from telling anything about it.

    Without the secret the authorization key would be a function of the password alone. A value that the chip makes with
    that key (GenDig, then Nonce, AES or SHA with TempKey) would then confirm guesses where no chip is: NoMac stops only
    MAC and HMAC.
    """

    stored: bytes = field(repr=False)
    """36 bytes for slot 2."""
    serial: bytes

    @classmethod
    def new(cls, serial: bytes) -> Self:
        """Return a random one for the chip with this serial number (9 bytes)."""
        return cls(os.urandom(SLOT_SIZES[CHIP_SECRET_SLOT]), serial)

    def answer(self, challenge: bytes) -> bytes:
        """Return what the chip will answer to a challenge (32 bytes each)."""
        return mac(self.stored[:_KEY_SIZE], CHIP_SECRET_SLOT, challenge, serial_number=self.serial)
