"""Protect the secrets in the memory of a program from core dumps and from other programs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import Final

_NO_OTHER_WRITERS: Final = 0o022
_PR_SET_DUMPABLE: Final = 4  # prctl(2)


def harden_process() -> None:
    """Keep passwords and keys out of core dumps, and files that this process writes from other users' changes.

    On Linux other programs of the same user cannot read its memory either.
    """
    os.umask(os.umask(_NO_OTHER_WRITERS) | _NO_OTHER_WRITERS)
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):  # some systems have no such limit
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # The limit does not cover dumps that are piped to a program: core(5), "Piping core dumps to a program".
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
