"""How often something may happen: a rate such as `60/m`, and the token bucket that holds to it.

A bucket holds at most the number of its rate, and gets that number again in the time of its rate. So in any span of
time at most one bucketful more goes through than the rate allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from atcaprov.errors import UsageError

_UNITS: Final = {"s": 1, "m": 60, "h": 3600}
_RATE: Final = re.compile("([1-9][0-9]{0,5})/([smh])", re.ASCII)
_ALMOST: Final = 1e-6
"""Parts of a token that are lost in sums of floating-point numbers."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds; `number` may come at once."""

    number: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a rate such as `60/m`: at most 999,999 in a second, minute or hour. Raises UsageError."""
        match = _RATE.fullmatch(text)
        if match is None:
            raise UsageError(
                f"'{text}' is not a rate such as 1/s, 60/m or 3600/h.", advice="Or give none for no limit."
            )
        return cls(int(match[1]), _UNITS[match[2]])

    def times(self, factor: int) -> Self:
        """Return a rate of so many times the number."""
        return type(self)(self.number * factor, self.seconds)

    def __str__(self) -> str:
        unit = next(unit for unit, seconds in _UNITS.items() if seconds == self.seconds)
        return f"{self.number}/{unit}"


class TokenBucket:
    """The tokens that are left of a rate; a new bucket is full.

    Times are seconds of any clock. One that steps back takes nothing away and gives nothing; one that steps forward
    fills the bucket, no more.
    """

    __slots__ = ("_at", "_level", "_rate")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._level = float(rate.number)
        self._at = now

    def fill(self, now: float) -> None:
        """Add what the time since the last call has brought."""
        since = max(0.0, now - self._at)
        self._at = now
        self._level = min(float(self._rate.number), self._level + since * self._rate.number / self._rate.seconds)

    @property
    def most(self) -> float:
        """Return how many it holds when it is full."""
        return float(self._rate.number)

    @property
    def share(self) -> float:
        """Return how full it is: 0.0 to 1.0."""
        return self._level / self._rate.number

    @property
    def full(self) -> bool:
        """Return whether it is as good as new."""
        return self._level >= self._rate.number - _ALMOST

    def wait(self, tokens: float) -> float:
        """Return in how many seconds it holds so many tokens; 0.0 if it does. It never holds more than its number."""
        missing = min(tokens, float(self._rate.number)) - self._level
        return 0.0 if missing <= _ALMOST else missing * self._rate.seconds / self._rate.number

    def take(self) -> None:
        """Take one token, or what is left."""
        self._level = max(0.0, self._level - 1.0)
