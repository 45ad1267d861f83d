"""Password files with the permissions that they must have: one user only."""

from __future__ import annotations

from pathlib import Path


def secret_file(path: Path | str, content: bytes | str) -> Path:
    """Write a file that only its owner may read."""
    path = Path(path)
    path.touch(mode=0o600)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path
