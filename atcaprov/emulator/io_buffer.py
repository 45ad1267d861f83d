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

    __slots__ = ("_at", "command", "is_whole", "output")

    def __init__(self) -> None:
        self.command = b""
        """What has come of a command that was not run yet."""
        self.is_whole = False
        """Whether a command is there with all its bytes."""
        self.output = b""
        self._at = 0

    def take(self, data: bytes) -> int:
        """Put bytes behind those of the command as far as they belong to it; return how many."""
        if self.is_whole or not data:
            return 0
        before, command = len(self.command), self.command + data
        size = command[0] if SHORTEST_GROUP <= command[0] <= LONGEST_GROUP else 1
        self.command, self.output = command[:size], b""
        self.is_whole = len(command) >= size
        return len(self.command) - before

    def take_whole(self, data: bytes) -> bool:
        """Take a command that comes with all its bytes, and hand it over at once; False if `data` is anything else.

        Most hosts send nothing else, so the speed of the software chip hangs on it.
        """
        size = len(data)
        if self.command or not SHORTEST_GROUP <= size <= LONGEST_GROUP or data[0] != size:
            return False
        self.output, self._at = b"", 0
        return True

    def hand_over(self) -> bytes:
        """Return what has come of a command, and forget it."""
        command, self.command, self.is_whole = self.command, b"", False
        return command

    def answer(self, output: bytes) -> None:
        """Put a reply in place of all else."""
        self.command, self.is_whole = b"", False
        self.output, self._at = output, 0

    def give(self, count: int) -> bytes:
        """Return the next `count` bytes of the reply; behind its end the wire stays high."""
        start, self._at = self._at, self._at + count
        return self.output[start : start + count].ljust(count, _HIGH)

    def reread(self) -> None:
        """Let the next read begin at the reply's first byte; what has come of a command stays."""
        self._at = 0

    def restart(self) -> None:
        """Let the next read or write begin at the first byte: what has come of a command is dropped."""
        self.hand_over()
        self._at = 0
