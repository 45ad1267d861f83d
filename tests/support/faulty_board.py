"""A board whose answers are damaged on the way: missing, cut, late, doubled, noisy or endless."""

from __future__ import annotations

import enum
from collections.abc import Callable


class BoardFault(enum.Enum):
    NONE = "none"
    SILENT = "silent"
    CUT = "cut"
    LATE = "late"
    DOUBLED = "doubled"
    NOISE = "noise"
    ENDLESS = "endless"


NOISE = b"\xff\x00 17(zz)\n00\n" * 20 + b"(((" + b"A" * 300


class FaultyBoard:
    """Pass bytes to a board and damage what comes back as `fault` says."""

    def __init__(self, receive: Callable[[bytes], bytes]) -> None:
        self._receive = receive
        self._held = b""
        self.fault = BoardFault.NONE
        self.unplugged = False

    def receive_data(self, data: bytes) -> bytes:
        answer = self._receive(data)
        held, self._held = self._held, b""
        if not answer or self.fault is BoardFault.SILENT:
            return b""
        if self.fault is BoardFault.LATE:
            self._held = answer  # it is sent in place of the next one
            return held
        if self.fault is BoardFault.CUT:
            return answer[: len(answer) // 2]
        if self.fault is BoardFault.DOUBLED:
            return answer + answer
        if self.fault in (BoardFault.NOISE, BoardFault.ENDLESS):
            return NOISE
        return held + answer
