"""When a signer's next list of revoked certificates is due, and what that costs a signer with a quota."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Final

DEFAULT_VALIDITY: Final = timedelta(days=7)
LONGEST_VALIDITY: Final = timedelta(days=3650)
SHORTEST_VALIDITY: Final = timedelta(hours=1)
QUOTA_PAUSE: Final = timedelta(hours=1)
"""Between two lists that a signer with a quota signs by itself: many revocations one after the other cost one list."""
_LAST_PART: Final = 4
_YEAR: Final = timedelta(days=365)


def renew_at(this_update: datetime, next_update: datetime) -> datetime:
    """Return when the list after this one is to be made: when a quarter of its validity is left."""
    return next_update - (next_update - this_update) / _LAST_PART


def lists_per_year(validity: timedelta) -> int:
    """Return how many lists a signer signs in a year so that one is always valid."""
    return math.ceil(_YEAR / (validity - validity / _LAST_PART))
