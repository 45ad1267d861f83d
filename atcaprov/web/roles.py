"""What a login to a page may do. Each role includes those before it."""

from __future__ import annotations

import enum


class Role(enum.StrEnum):
    """The roles, weakest first."""

    LOOK = "look"
    UNLOCK = "unlock"
    ADMINISTER = "administer"

    def includes(self, other: Role) -> bool:
        """Return whether who has this role may do what the other one may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)
