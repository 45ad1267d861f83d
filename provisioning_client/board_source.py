"""Where boards come from."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable

from atcaprov.device.device import Device
from atcaprov.errors import AtcaProvError


class BoardSource(abc.ABC):
    """A fixture: a board is put in, taken out, and followed by the next."""

    url: str = ""
    """Device URL where `look` looked last."""
    hint: AtcaProvError | None = None
    """Why the last `look` may have seen no board although there is one, or why the last `is_removed` can't tell that
    it was taken out; None if nothing hints at it."""

    @abc.abstractmethod
    def look(self) -> Device | None:
        """Return the chip of the board in the fixture, opened, or None while there is none.

        Raises:
            TransportError: there is a board, but its chip can't be reached.
        """

    @abc.abstractmethod
    def is_removed(self) -> bool:
        """Tell whether the board that `look` gave last has been taken out."""

    def follow(self, url: str) -> None:  # noqa: B027 - not every place looks again
        """Look for the board that `look` gave last at another device URL, to which its chip has moved."""

    def was_taken_out(self) -> bool:
        """Tell whether a board whose chip failed before its run began is away, so that there is nothing to fail."""
        return self.is_removed()

    @abc.abstractmethod
    def is_exhausted(self) -> bool:
        """Tell whether no further board can come."""


class BoardList(BoardSource):
    """Boards that are named beforehand, such as software chips: one after the other, each 'removed' when done."""

    def __init__(self, urls: Iterable[str], open_board: Callable[[str], Device] = Device.open) -> None:
        self._open_board = open_board
        self._urls = iter(urls)
        self._next: str | None = next(self._urls, None)

    def look(self) -> Device | None:
        """Open the next one of the list."""
        if self._next is None:
            return None
        self.url, self._next = self._next, next(self._urls, None)
        return self._open_board(self.url)

    def is_removed(self) -> bool:
        """Say yes: a named board needs no hand."""
        return True

    def was_taken_out(self) -> bool:
        """Say no: a named board that can't be reached has failed."""
        return False

    def is_exhausted(self) -> bool:
        """Say whether the list is at its end."""
        return self._next is None
