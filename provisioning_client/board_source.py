"""Where boards come from: the protocol, and a list of device URLs. A place for real boards is in `fixture`."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable

from atcaprov.device.device import Device
from atcaprov.errors import AtcaProvError


class BoardSource(abc.ABC):
    """A place where one board after another can be opened."""

    url: str = ""
    """The device URL at which `look` looked last."""
    hint: AtcaProvError | None = None
    """Why the last `look` may have missed a board, or the last `is_removed` cannot notice its removal; None if there
    is no reason."""

    @abc.abstractmethod
    def look(self) -> Device | None:
        """Return the chip of the board in the fixture, opened, or None while there is none.

        Raises:
            TransportError: there is a board, but its chip does not answer.
        """

    @abc.abstractmethod
    def is_removed(self) -> bool:
        """Return whether the board that `look` returned last has been taken out."""

    def follow(self, url: str) -> None:  # noqa: B027 - a list does not look again
        """Look for the board that `look` returned last at the device URL to which its chip has moved."""

    def was_taken_out(self) -> bool:
        """Return whether a board whose chip failed before its run was taken out; then it does not count as failed."""
        return self.is_removed()

    @abc.abstractmethod
    def is_exhausted(self) -> bool:
        """Return whether no further board can come."""


class BoardList(BoardSource):
    """Boards listed in advance, such as software chips, one after the other; each counts as removed when it is done."""

    def __init__(self, urls: Iterable[str], open_board: Callable[[str], Device] = Device.open) -> None:
        self._open_board = open_board
        self._urls = iter(urls)
        self._next: str | None = next(self._urls, None)

    def look(self) -> Device | None:
        """Open the next board of the list."""
        if self._next is None:
            return None
        self.url, self._next = self._next, next(self._urls, None)
        return self._open_board(self.url)

    def is_removed(self) -> bool:
        """Return True: no one has to take a listed board out."""
        return True

    def was_taken_out(self) -> bool:
        """Return False: a listed board that does not answer has failed."""
        return False

    def is_exhausted(self) -> bool:
        """Return whether the list is at its end."""
        return self._next is None
