"""What a use of a slot needs before the chip allows it, as a value and in words."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class NeedKind(enum.Enum):
    """Kinds of needs, with their words; `{slot}` is the slot that the need names."""

    CHECK_MAC = "CheckMac with slot {slot} right before"
    VERIFY = "Verify with the public key in slot {slot} right before"
    LATCH = "the persistent latch set"
    RANDOM_NONCE = "a random nonce"
    GEN_DIG = "GenDig with slot {slot}"
    GEN_KEY = "GenKey's digest of the public key of slot {slot}"
    OTHER_DATA = "OtherData for the verify-only key in slot {slot}"
    MAC = "a MAC under slot {slot}"
    VALIDATED = "the public key in slot {slot} validated by its parent"
    NOT_VALIDATED = "the public key in slot {slot} not validated"
    USE_LEFT = "a use left of those that are counted"
    IO_KEY = "an answer encrypted with the IO protection key in slot {slot}"
    IN_TEMP_KEY = "its result kept in TempKey"
    IN_SLOT = "its result kept in slot {slot}"
    ECDH_BY = "ECDH with slot {slot}"


@dataclass(frozen=True)
class Need:
    """One condition that must hold, or one command that must come before."""

    kind: NeedKind
    slot: int | None = None

    def __str__(self) -> str:
        return self.kind.value.format(slot=self.slot)
