"""What a framing hands to the rim: bytes to send, and waits for a chip that works in real time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class Wait(NamedTuple):
    """Let this many seconds pass before the next step."""

    seconds: float


Step = bytes | Wait


class FramingSession(Protocol):
    """One client's side of a framing: bytes in, steps out, no I/O."""

    def receive(self, data: bytes) -> Iterator[Step]:
        """Take the next bytes of the client and yield what is to be done, in order.

        Raises:
            ProtocolError: what came can't be of this framing; the connection is of no use any more.
        """
