"""Why a key file is not read, and the command that converts it."""

from __future__ import annotations

import shlex
from pathlib import PurePath

from atcaprov.errors import Code, UsageError


class KeyFileError(Exception):
    """Says what a file is or holds instead: the end of a sentence that begins with the file's name, without a period.

    `command` converts the file: a shell command in which `{source}` is the file and `{target}` a new file next to it,
    `{stem}` its name without the ending. It asks for passwords and never takes one as an argument.
    """

    def __init__(self, what: str, command: str = "", *, ending: str = ".pem") -> None:
        super().__init__(what)
        self.command = command
        self.ending = ending

    def told(self, source: str) -> UsageError:
        """Return the error for the operator; `source` names the file."""
        path = PurePath(source)
        target = str(path.with_name(f"{path.stem}-converted{self.ending}")) if path.name else source
        command = self.command.format(source=shlex.quote(source), target=shlex.quote(target))
        return UsageError(
            f"The key file {source} {self}.",
            advice=f"Convert it: {command}" if command else "",
            code=Code.KEY_FILE_INVALID,
        )
