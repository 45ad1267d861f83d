"""Whether new boards should be sent to this server: at `/ready`, in its status, to the service manager."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STARTING: Final = "starting"
DRAINING: Final = "draining"


@dataclass(frozen=True, slots=True)
class Ready:
    """Empty `why`: it is ready. Else `starting`, `draining`, or the code of why it issues nothing."""

    why: str = ""

    @property
    def http_status(self) -> int:
        """Return 200 if it is ready, 503 if not."""
        return 503 if self.why else 200


class Readiness:
    """Knows where the server is between its start and its end.

    Health tells whether someone has to act; a server that starts or drains is healthy and not ready.
    """

    def __init__(self, failing: Callable[[], str]) -> None:
        """`failing` returns the code of why the server issues nothing, empty if it issues."""
        self._failing = failing
        self._phase = STARTING

    def started(self) -> None:
        """Note that it listens and has looked for its signers once."""
        if self._phase == STARTING:
            self._phase = ""

    def draining(self) -> None:
        """Note that it takes nothing new any more."""
        self._phase = DRAINING

    def look(self) -> Ready:
        """Return whether it is ready now."""
        return Ready(self._phase or self._failing())
