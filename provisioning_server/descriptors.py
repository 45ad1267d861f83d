"""How many files and connections a process may have open: systems differ, and some begin with fewer than it takes."""

from __future__ import annotations

import sys
from typing import Final

DESCRIPTORS: Final = 1024
"""Enough for every connection at the port and at the web page, the modules and the records."""


def allow_enough_descriptors() -> None:
    """Raise this process's limit of open file descriptors to DESCRIPTORS, as far as the system allows."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
