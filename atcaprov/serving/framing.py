"""The interface of a framing: bytes of a client in, bytes to send and waits for a real-time chip out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class Wait(NamedTuple):
    """Let this many seconds pass before the next step."""

    seconds: float


Step = bytes | Wait


class FramingSession(Protocol):
    """One client of a framing: bytes in, steps out, no I/O."""

    def receive(self, data: bytes) -> Iterator[Step]:
        """Take the next bytes of the client and yield what is to be done, in order.

        Raises:
            ProtocolError: the bytes do not belong to this framing; the connection is closed.
        """
