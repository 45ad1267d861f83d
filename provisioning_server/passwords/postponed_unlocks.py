"""Signers whose given passwords could not be tried for lack of memory, and when each is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from provisioning_server.signers.signer import Signer

LONGEST_PAUSE_SCANS: Final = 64


@dataclass(slots=True)
class _Turn:
    signer: Signer
    pause: int = 1
    left: int = 1


class PostponedSigners:
    """Each is tried again after 1 scan, then after 2, 4, ... at most `LONGEST_PAUSE_SCANS`."""

    def __init__(self) -> None:
        self._turns: dict[int, _Turn] = {}  # by id of the signer object

    def __contains__(self, signer: object) -> bool:
        return id(signer) in self._turns

    def add(self, signer: Signer) -> None:
        """Add a signer, or double the pause of one that was tried again in vain."""
        turn = self._turns.get(id(signer))
        if turn is None:
            self._turns[id(signer)] = _Turn(signer)
        else:
            turn.pause = min(2 * turn.pause, LONGEST_PAUSE_SCANS)
            turn.left = turn.pause

    def drop(self, signer: Signer) -> None:
        """Remove a signer."""
        self._turns.pop(id(signer), None)

    def its_turn(self, signer: Signer) -> bool:
        """Return whether a signer is due; call it once at each scan."""
        turn = self._turns.get(id(signer))
        if turn is None:
            return False
        turn.left -= 1
        return turn.left <= 0
