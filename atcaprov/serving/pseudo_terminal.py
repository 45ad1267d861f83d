"""A pseudo-terminal with a link to it, for programs that want a serial port (POSIX only)."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Final, Self

from atcaprov.errors import Code, UsageError

_READ_SIZE: Final = 4096


class PseudoTerminal:
    """The board's end of a pseudo-terminal; the other end is the port behind `link`.

    Programs may open and close the port as often as they like. A pty has no modem lines: programs that insist on
    setting DTR, such as the vendor library's own UART HAL, cannot use it.
    """

    def __init__(self, link: Path, master: int, slave: int, port: str) -> None:
        self.link = link
        self._port = port
        self.reader = asyncio.StreamReader()
        self._master = master
        # Kept open: with no program at the port, reading the board's end would fail.
        self._slave = slave
        asyncio.get_running_loop().add_reader(master, self._readable)

    @classmethod
    def open(cls, link: Path) -> Self:
        """Make a pseudo-terminal in raw mode and the link to it; a link that is there is replaced.

        Raises:
            UsageError: the link cannot be made (FILE_UNWRITABLE), or the system has no pseudo-terminals.
        """
        if sys.platform == "win32":
            raise _none_to_have("Windows has none")
        import tty

        try:
            master, slave = os.openpty()
        except OSError as error:
            raise _none_to_have(error.strerror or str(error)) from error
        tty.setraw(slave)
        os.set_blocking(master, False)
        port = os.ttyname(slave)
        try:
            _link(link, port)
        except OSError as error:
            os.close(master)
            os.close(slave)
            raise UsageError(f"The link {link} cannot be made: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error
        return cls(link, master, slave, port)

    def write(self, data: bytes) -> None:
        """Send bytes to the program that has the port open; unread bytes are lost when the buffer is full."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._master, data)

    async def drain(self) -> None:
        """Return at once: a serial line does not wait for its reader."""

    def close(self) -> None:
        """Take the link away and close the port."""
        asyncio.get_running_loop().remove_reader(self._master)
        with contextlib.suppress(OSError):
            if self.link.is_symlink() and str(self.link.readlink()) == self._port:
                self.link.unlink()
        os.close(self._slave)
        os.close(self._master)

    def _readable(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self.reader.feed_data(os.read(self._master, _READ_SIZE))


def _none_to_have(why: str) -> UsageError:
    return UsageError(f"Cannot open a pseudo-terminal: {why}.", advice="Use --kit with a TCP port.")


def _link(link: Path, target: str) -> None:
    if link.exists() and not link.is_symlink():
        raise FileExistsError(17, "there is a file of that name")
    fresh = link.with_name(link.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
