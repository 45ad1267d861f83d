"""How many signatures a module may still make: Counter 0 against the limit in slot 4 (CountMatch).

The limit must be a multiple of 32, so a quota that is not one is reached from the other end: before the data lock the
counter is advanced until exactly the quota lies between it and the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atcaprov.config_zone.zone_fields import COUNTER_MAX
from atcaprov.errors import Board, CertificateError, Code, ProvisioningError, UsageError

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
        return max(0, min(self.limit, COUNTER_MAX) - self.counter)

    @property
    def low(self) -> bool:
        """Whether a new module should be made soon: a twentieth is left, or less.

        A twentieth of the limit without one step: a module can have been made with so much less than its limit, and a
        new one is not low, however small its quota.
        """
        return self.remaining * _LOW <= self.limit - _STEP


def check_quota(quota: int) -> None:
    """Raise UsageError unless a module can have this quota."""
    if not 1 <= quota <= MOST:
        raise UsageError(f"A quota of {quota} is not possible.", advice=f"A quota is from 1 to {MOST}.")


def limit_for(quota: int, counter: int) -> int:
    """Return the lowest limit that leaves room for `quota` signatures after `counter`."""
    return -(-(counter + quota) // _STEP) * _STEP


def require_room(quota: int, counter: int) -> None:
    """Raise ProvisioningError (quota-used-up) if the counter would end before `quota` signatures after `counter`."""
    if limit_for(quota, counter) > COUNTER_MAX:
        raise ProvisioningError(
            f"The chip's counter stands at {counter} of {COUNTER_MAX}: there is no room for a quota of {quota}.",
            advice="Take another chip.",
            code=Code.QUOTA_USED_UP,
            board=Board.SCRAP,
        )


def encode_limit(limit: int) -> bytes:
    """Return the first 8 bytes of the CountMatch slot: the limit twice, little-endian."""
    return limit.to_bytes(4, "little") * 2


def decode_limit(stored: bytes) -> int:
    """Return the limit of 8 stored bytes; raises CertificateError (module-invalid) when they are not one."""
    if stored[:4] != stored[4:]:
        raise CertificateError(
            "The module's quota is damaged: its limit is not stored twice.", code=Code.MODULE_INVALID
        )
    return int.from_bytes(stored[:4], "little")
