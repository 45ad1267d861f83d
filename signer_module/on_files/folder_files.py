"""Files of root and signer folders: read with a limit, written whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from atcaprov import durable_files
from atcaprov.bounded_reading import is_folder, status
from atcaprov.errors import Code, UsageError

_ROOM: Final = 1 << 16
"""More than what is written for a root or signer, in bytes."""
PRIVATE: Final = 0o600
PUBLIC: Final = 0o644


def pem_certificate(der: bytes) -> bytes:
    """Return the certificate as PEM."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def refuse_existing(path: Path) -> None:
    """Raise UsageError (file-unwritable) when a new folder cannot be made there, because something is."""
    with _writing(path):
        if path.is_symlink() or (status(path) is not None and not (is_folder(path) and not any(path.iterdir()))):
            raise UsageError(
                f"{path} exists already; nothing was changed.",
                advice="Choose another folder.",
                code=Code.FILE_UNWRITABLE,
            )


def require_room(path: Path) -> None:
    """Raise UsageError (file-unwritable) unless something new can be written beside `path`; what is tried is removed.

    For steps that cannot be repeated: better now than after a chip was changed.
    """
    with _writing(path), tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        durable_files.write_new(Path(folder, "room"), bytes(_ROOM), PRIVATE)


def require_new_folder(path: Path) -> None:
    """Raise UsageError (file-unwritable) unless a new folder can be made there; folders above it are made."""
    refuse_existing(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    require_room(path)


@contextmanager
def new_folder(path: Path, mode: int = 0o700) -> Iterator[Path]:
    """Give a temporary folder beside `path` that takes its name when the block ends well, and is removed otherwise.

    Nothing that exists is overwritten: raises UsageError (file-unwritable) when `path` exists and is not empty.
    """
    refuse_existing(path)
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        with _writing(path):
            temporary.chmod(mode)
            durable_files.sync_folder(temporary)
            temporary.rename(path)
            durable_files.sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace(path: Path, data: bytes, mode: int = PUBLIC) -> None:
    """Write a file whole in place of one that may be there, down to the disk; raises UsageError (file-unwritable)."""
    with _writing(path):
        durable_files.replace(path, data, mode)


def write_all(folder: Path, files: Mapping[str, tuple[bytes, int]], *, named: Path) -> None:
    """Write files that do not exist yet, each given as name -> (bytes, mode), into a temporary folder.

    Raises UsageError (file-unwritable), which names the folder `named` that it will be, as the user knows no other.
    """
    for name, (data, mode) in files.items():
        with _writing(named / name):
            durable_files.write_new(folder / name, data, mode)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error
