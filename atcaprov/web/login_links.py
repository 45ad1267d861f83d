"""How the login link reaches the person who starts the server and no one else: never through a log."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

from atcaprov.errors import Code, UsageError
from atcaprov.log import Log

FILE_NAME: Final = "web-login"


class Links(Protocol):
    """Where login links go; each is valid for one login."""

    def tell(self, link: str) -> None:
        """Hand out the link of the next login."""

    def end(self) -> None:
        """Withdraw it: the page is closed."""


class ConsoleLinks:
    """Shows login links on the console."""

    def __init__(self, say: Callable[[str], None]) -> None:
        """`say` shows a line on the console and keeps it nowhere."""
        self._say = say

    def tell(self, link: str) -> None:
        """Hand out the link of the next login."""
        self._say(f"Log in to the web page, once, with {link}")

    def end(self) -> None:
        """Do nothing: the link is invalid now."""


class LinkFile:
    """Keeps the link in a file that only this user reads, for a server without a console: its output is a log too."""

    def __init__(self, folder: Path, log: Log) -> None:
        self.path = folder / FILE_NAME
        self._log = log

    def tell(self, link: str) -> None:
        """Hand out the link of the next login; raises UsageError FILE_UNWRITABLE."""
        new = self.path.with_name(f".{FILE_NAME}")
        try:
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - a descriptor has no Path
                file.write(f"{link}\n")
            new.replace(self.path)
        except OSError as error:
            raise UsageError(
                f"The link to the web page cannot be written to {self.path}: {error.strerror}.",
                advice="Make room on its disk and check its permissions, or start the server on a terminal.",
                code=Code.FILE_UNWRITABLE,
            ) from error
        self._log.info(f"The link of the next login to the web page is in {self.path}.")

    def end(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)
