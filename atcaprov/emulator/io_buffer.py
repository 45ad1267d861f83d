"""The buffer that a chip's commands and replies share, with its address counter (DS20005927A, 6.2 and 6.6).

Bytes of a command follow one another, in however many writes they come; the first byte, the count, says when the
command is whole. The first one makes the old reply unreadable. A reply is read on from where the last read ended.
"""

from __future__ import annotations

from typing import Final

SHORTEST_GROUP: Final = 4
LONGEST_GROUP: Final = 155
"""Counts outside of these are an error of the interface at once (9.1); nothing is waited for."""
_HIGH: Final = b"\xff"


class IoBuffer:
    """Takes a command byte by byte and gives a reply; nothing at first."""

    __slots__ = ("_at", "command", "output")

    def __init__(self) -> None:
        self.command = b""
        """What has come of a command that was not run yet."""
        self.output = b""
        self._at = 0

    @property
    def is_whole(self) -> bool:
        """Whether a command is there with all its bytes."""
        if not self.command:
            return False
        count = self.command[0]
        return len(self.command) >= count or not SHORTEST_GROUP <= count <= LONGEST_GROUP

    def take(self, byte: int) -> bool:
        """Put a byte behind those of the command; False, and nothing else, if the command is whole without it."""
        if self.is_whole:
            return False
        self.command += bytes((byte,))
        self.output = b""
        return True

    def answer(self, output: bytes) -> None:
        """Put a reply in place of all else."""
        self.command, self.output, self._at = b"", output, 0

    def give(self, count: int) -> bytes:
        """Return the next `count` bytes of the reply; behind its end the wire stays high."""
        start, self._at = self._at, self._at + count
        return self.output[start : start + count].ljust(count, _HIGH)

    def reread(self) -> None:
        """Let the next read begin at the reply's first byte; what has come of a command stays."""
        self._at = 0

    def restart(self) -> None:
        """Let the next read or write begin at the first byte: what has come of a command is dropped."""
        self.command, self._at = b"", 0
