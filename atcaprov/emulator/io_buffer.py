"""The buffer that a chip's commands and replies share, with its address counter (DS20005927A, 6.2 and 6.6).

A command may come in any number of writes; its first byte, the count, says when it is complete, and clears the old
reply. A read of a reply continues where the last read ended.
"""

from __future__ import annotations

from typing import Final

SHORTEST_GROUP: Final = 4
LONGEST_GROUP: Final = 155
"""Counts outside of these are an error at once (9.1): the chip does not wait for further bytes."""
_HIGH: Final = b"\xff"


class IoBuffer:
    """Takes a command byte by byte and gives a reply; at first it is empty."""

    __slots__ = ("_at", "command", "is_whole", "output")

    def __init__(self) -> None:
        self.command = b""
        """The bytes so far of a command that did not run yet."""
        self.is_whole = False
        """Whether a command is complete."""
        self.output = b""
        self._at = 0

    def take(self, data: bytes) -> int:
        """Append bytes to the command as far as they belong to it; return how many."""
        if self.is_whole or not data:
            return 0
        before, command = len(self.command), self.command + data
        size = command[0] if SHORTEST_GROUP <= command[0] <= LONGEST_GROUP else 1
        self.command, self.output = command[:size], b""
        self.is_whole = len(command) >= size
        return len(self.command) - before

    def take_whole(self, data: bytes) -> bool:
        """Take a complete command, which the caller runs at once; return False if `data` is anything else.

        Most hosts send only such ones, so the speed of the software chip depends on it.
        """
        size = len(data)
        if self.command or not SHORTEST_GROUP <= size <= LONGEST_GROUP or data[0] != size:
            return False
        self.output, self._at = b"", 0
        return True

    def hand_over(self) -> bytes:
        """Return the bytes of the command so far, and drop them."""
        command, self.command, self.is_whole = self.command, b"", False
        return command

    def answer(self, output: bytes) -> None:
        """Put a reply into the buffer; a command in it is dropped."""
        self.command, self.is_whole = b"", False
        self.output, self._at = output, 0

    def give(self, count: int) -> bytes:
        """Return the next `count` bytes of the reply; beyond its end the wire stays high (FF)."""
        start, self._at = self._at, self._at + count
        return self.output[start : start + count].ljust(count, _HIGH)

    def reread(self) -> None:
        """Let the next read begin at the reply's first byte; bytes of a command stay."""
        self._at = 0

    def restart(self) -> None:
        """Let the next read or write begin at the first byte; bytes of a command are dropped."""
        self.hand_over()
        self._at = 0
