"""How many signatures a module has made, and may still make: Counter 0 against the limit in slot 4 (CountMatch).

The limit must be a multiple of 32, so a quota that is not one is reached from the other end: before the data lock the
counter is advanced until exactly the quota lies between it and the limit. Behind the limit stands the quota itself, so
that limit - quota is where the counter stood when the module was new. Modules of older versions have zeros there.
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
STORED_SIZE: Final = 16
"""Bytes that are used of the CountMatch slot."""


@dataclass(frozen=True, slots=True)
class Quota:
    """Where the counter stands and where the chip stops; `made_for` is the quota of the new module, if it is stored."""

    limit: int
    counter: int
    made_for: int | None = None

    @property
    def remaining(self) -> int:
        """Signatures that the chip will still make."""
        return max(0, min(self.limit, COUNTER_MAX) - self.counter)

    @property
    def first(self) -> int | None:
        """Where the counter stood when the module was new; None if that is not stored."""
        return None if self.made_for is None else self.limit - self.made_for

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


def encode_limit(limit: int, made_for: int = 0) -> bytes:
    """Return the first 16 bytes of the CountMatch slot: the limit twice, then the quota twice, little-endian.

    A quota of 0 stands for none that is known, as in modules of older versions.
    """
    return limit.to_bytes(4, "little") * 2 + made_for.to_bytes(4, "little") * 2


def decode_limit(stored: bytes) -> tuple[int, int | None]:
    """Return the limit and the quota, if it is there, of 16 stored bytes; raises CertificateError (module-invalid)."""
    limit, made_for = (_twice(stored[place : place + 8]) for place in (0, 8))
    if made_for > limit:
        raise _damaged("its limit is below it")
    return limit, made_for or None


def _twice(stored: bytes) -> int:
    if stored[:4] != stored[4:]:
        raise _damaged("it is not stored twice")
    return int.from_bytes(stored[:4], "little")


def _damaged(why: str) -> CertificateError:
    return CertificateError(f"The module's quota is damaged: {why}.", code=Code.MODULE_INVALID)
