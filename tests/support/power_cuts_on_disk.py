"""Power cuts at each step of `signer-module` on the disk: `python -m tests.support.power_cuts_on_disk BASE OUT ARGS`.

BASE is copied to OUT/0, OUT/1, ... and the program runs in copy N until its N-th file operation (open for writing,
fsync, rename, delete, make a folder). There the process ends at once, without cleaning up. The run in the last copy
was complete. It forks, so it must be a process of its own.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from signer_module import cli

_CUT: Final = 99
_CHANGES: Final = frozenset({"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate"})
_WRITING: Final = os.O_WRONLY | os.O_RDWR


def _cut_at(number: int) -> None:
    left = number

    def step() -> None:
        nonlocal left
        if not left:
            os._exit(_CUT)
        left -= 1

    def watch(event: str, details: tuple[Any, ...]) -> None:
        if event in _CHANGES or (event == "open" and details[2] & _WRITING and "__pycache__" not in str(details[0])):
            step()

    def after(synced: Callable[[int], None]) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            step()
            synced(descriptor)

        return sync

    os.fsync = after(os.fsync)  # type: ignore[assignment]
    sys.addaudithook(watch)


def _child(folder: Path, number: int, arguments: Sequence[str]) -> NoReturn:
    os.chdir(folder)
    _cut_at(number)
    os._exit(cli.main(arguments))


def main(base: Path, out: Path, arguments: Sequence[str]) -> int:
    """Make the copies and cut the runs; return the exit code of the complete run."""
    number = 0
    while True:
        folder = out / str(number)
        shutil.copytree(base, folder)
        child = os.fork()
        if not child:
            _child(folder, number, arguments)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != _CUT:
            return code
        number += 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:]))
