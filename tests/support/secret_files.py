"""Files of passwords as they have to be: for one user alone."""

from __future__ import annotations

from pathlib import Path


def secret_file(path: Path | str, content: bytes | str) -> Path:
    """Write a file that nobody else may read."""
    path = Path(path)
    path.touch(mode=0o600)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
