"""Make the disk fail under a program: the preloaded library `disk_faults.c`, and what it is told."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.system_programs import require_program

_SOURCE: Final = Path(__file__).with_suffix(".c")
LEDGER_FILES: Final = "/ledger.sqlite3"
"""What the paths of the ledger's files have in common: the file, its logs, and the one that becomes it."""


class DiskFault(Enum):
    """What happens at a call: error number, whether all later calls fail too, whether it first writes one half."""

    EIO_ONCE = (errno.EIO, False, False)
    EIO = (errno.EIO, True, False)
    FULL_ONCE = (errno.ENOSPC, False, False)
    FULL = (errno.ENOSPC, True, False)
    HALF_THEN_FULL = (errno.ENOSPC, True, True)


class DiskFaultAt(NamedTuple):
    """The fault at call number `call` (from 0) that writes to a file of the ledger."""

    fault: DiskFault
    call: int


def preloading(folder: Path) -> dict[str, str]:
    """Build the library in `folder`; return the environment of a program that has it."""
    library = folder / "disk_faults.so"
    command = (require_program("gcc"), "-Wall", "-Wextra", "-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE))
    subprocess.run(command, check=True)
    return {**os.environ, "LD_PRELOAD": str(library)}


def arm(planned: DiskFaultAt | None) -> None:
    """Count the calls from now on in this process, which has the library, and let one fail."""
    fault, call = planned if planned is not None else (DiskFault.EIO, -1)
    ctypes.CDLL(None).disk_faults_arm(os.fsencode(LEDGER_FILES), ctypes.c_long(call), *fault.value)


def calls() -> int:
    """Return how many calls there were since `arm`."""
    counted = ctypes.CDLL(None).disk_faults_calls
    counted.restype = ctypes.c_long
    return int(counted())
