"""What a program that holds secrets does before anything else."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import Final

_NOBODY_ELSE_WRITES: Final = 0o022
_PR_SET_DUMPABLE: Final = 4  # prctl(2)


def harden_process() -> None:
    """Let a crash leave no passwords and keys on the disk, and nobody else change what the program writes.

    Other programs of the same user can't look into its memory either, where the system can see to that (Linux).
    """
    os.umask(os.umask(_NOBODY_ELSE_WRITES) | _NOBODY_ELSE_WRITES)
    if sys.platform == "win32":
        return
    import resource

    with contextlib.suppress(OSError, ValueError):  # some systems know no such limit
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # The limit alone does not hold where dumps go to a program (core(5), "Piping core dumps to a program").
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
