"""Files that a server writes in a pause after its reply."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from time import monotonic
from typing import Final

from tests.support.server import PATIENCE

_BETWEEN_LOOKS: Final = 0.02


def arrived(path: Path) -> Path:
    """Wait until a text file is there and complete; return its path also if it does not come."""
    end = monotonic() + PATIENCE
    while monotonic() < end and not (path.exists() and path.read_bytes().endswith(b"\n")):
        Event().wait(_BETWEEN_LOOKS)
    return path
