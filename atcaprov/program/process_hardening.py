"""Protect the secrets in the memory of a program from core dumps and from other programs."""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import Final

_NO_OTHER_WRITERS: Final = 0o022
_PR_SET_DUMPABLE: Final = 4  # prctl(2)
_CAP_IPC_LOCK: Final = 14  # capabilities(7)
_LOCKED: Final = 1 | 2 | 4
"""MCL_CURRENT, MCL_FUTURE and MCL_ONFAULT of mlockall(2): all pages that are used now or later, none that never is."""


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


def lock_memory() -> bool:
    """Keep all memory of this process, and so every password and key in it, out of the swap; return whether it is so.

    Python copies values freely, so to lock single buffers would promise too much. On Linux only, and only with
    CAP_IPC_LOCK or an unlimited RLIMIT_MEMLOCK: under a limit, no memory could be had any more once it is reached.
    """
    if sys.platform != "linux":
        return False
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if hard == resource.RLIM_INFINITY and soft != hard:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
    unlimited = hard == resource.RLIM_INFINITY or _may_lock_without_limit()
    return unlimited and ctypes.CDLL(None).mlockall(_LOCKED) == 0


def _may_lock_without_limit() -> bool:
    """Tell whether this process has CAP_IPC_LOCK."""
    return bool(int(_of_this_process("CapEff") or "0", 16) >> _CAP_IPC_LOCK & 1)


def memory_is_locked() -> bool:
    """Tell whether this process keeps its memory out of the swap."""
    return int(_of_this_process("VmLck") or "0") > 0


def _of_this_process(field: str) -> str:
    """Return a number of /proc/self/status as text (proc(5)); empty where there is none."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text("utf-8").splitlines():
            name, _, value = line.partition(":")
            if name == field:
                return value.split()[0]
    return ""
