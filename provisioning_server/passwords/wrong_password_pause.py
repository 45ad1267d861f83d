"""The pause after a wrong password, which doubles, so that no one can try thousands of passwords."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 30.0


@dataclass
class WrongPasswordPause:
    """The pause of one signer. `clock` returns seconds; what counts is their difference."""

    clock: Callable[[], float]
    wrong: int = 0
    """Wrong passwords in a row."""
    _until: float = 0.0

    def lengthen(self) -> None:
        """Begin a pause, twice as long as the one before."""
        self._until = self.clock() + min(FIRST_PAUSE_SECONDS * 2**self.wrong, LONGEST_PAUSE_SECONDS)
        self.wrong += 1

    def end(self) -> None:
        """Begin again with the shortest pause: a password was accepted."""
        self.wrong = 0

    def seconds_left(self) -> float:
        """Return the seconds until the next password may be tried."""
        return max(0.0, self._until - self.clock())
