"""The secret in slot 2 that never leaves a module's chip: what it answers to a password is known to no other.

Without it the authorization key would be a function of the password alone, and a value that the chip makes with that
key (GenDig, then Nonce, AES or SHA with TempKey) would confirm guesses where no chip is: NoMac stops only MAC and HMAC.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final, Self

from atcaprov.chip.memory_map import SLOT_SIZES
from atcaprov.device.authorization import mac
from signer_module.on_chip.layout import CHIP_SECRET_SLOT

_KEY_SIZE: Final = 32


@dataclass(frozen=True)
class ChipSecret:
    """The secret while a module is made: 32 bytes of key, and 4 that make the CRC of the data lock tell nothing."""

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
