"""How many signatures a module may still make: Counter 0 against the limit in slot 4 (CountMatch).

The limit must be a multiple of 32, so a quota that is not one is reached from the other end: before the data lock the
counter is advanced until exactly the quota lies between it and the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.config_zone.counters import COUNTER_MAX
from atcaprov.errors import CertificateError, Code, UsageError

_STEP: Final = 32
_LOW: Final = 20
MOST: Final = COUNTER_MAX // _STEP * _STEP - 4 * _STEP
"""Largest quota; the rest is left for signatures while a module is made."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Where the counter stands and where the chip stops."""

    limit: int
    counter: int

    @property
    def remaining(self) -> int:
        """Signatures that the chip will still make."""
        return max(0, self.limit - self.counter)

    @property
    def low(self) -> bool:
        """Whether a new module should be made soon: at most a twentieth of the limit is left."""
        return self.remaining * _LOW <= self.limit


def check_quota(quota: int) -> None:
    """Raise UsageError unless a module can have this quota."""
    if not 1 <= quota <= MOST:
        raise UsageError(f"A quota of {quota} is not possible.", advice=f"It goes from 1 to {MOST}.")


def limit_for(quota: int, counter: int) -> int:
    """Return the lowest limit that leaves room for `quota` signatures after `counter`."""
    return -(-(counter + quota) // _STEP) * _STEP


def encode_limit(limit: int) -> bytes:
    """Return the first 8 bytes of the CountMatch slot: the limit twice, little-endian."""
    return limit.to_bytes(4, "little") * 2


def decode_limit(stored: bytes) -> int:
    """Return the limit of 8 stored bytes; raises CertificateError (module-invalid) when they are none."""
    if stored[:4] != stored[4:]:
        raise CertificateError(
            "The module's quota is damaged: its limit is not stored twice.", code=Code.MODULE_INVALID
        )
    return int.from_bytes(stored[:4], "little")
