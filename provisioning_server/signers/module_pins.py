"""Pins of the modules that took their passwords, so that a forged module does not get one.

Serial number, salt, scrypt cost and public key of a module are permanently locked. Everyone can read all of them; but a
forged module that asks for less work, or that has another key, is told apart from the real one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from atcaprov import durable_files
from atcaprov.bounded_reading import read_bytes, status
from atcaprov.errors import CertificateError, Code, UsageError
from signer_module.on_chip.public_contents import ModuleContents

_MODE: Final = 0o640


class ModulePins:
    """One small file for each module in a folder: salt (hex), scrypt cost, public key (hex), separated by tabs."""

    def __init__(self, folder: Path) -> None:
        """Keep pins in a folder that is created when needed."""
        self._folder = folder

    def require_same(self, facts: ModuleContents) -> None:
        """Raise CertificateError (module-changed) if a module has changed; UsageError if its pin cannot be read."""
        path = self._path(facts)
        try:
            known = read_bytes(path)
        except UsageError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return
            raise
        if known != _line(facts):
            raise CertificateError(
                f"The module claims to be {facts.serial.hex().upper()}, but its salt, scrypt cost or key has changed "
                "since it was last opened here: it may be a forgery that collects passwords.",
                advice=f"Do not enter its password. If the module is genuine, delete {path}.",
                code=Code.MODULE_CHANGED,
            )

    def remember(self, facts: ModuleContents) -> None:
        """Pin a module that took its password; raises UsageError (file-unwritable)."""
        path = self._path(facts)
        try:
            if status(path) is not None:
                return
            self._folder.mkdir(parents=True, exist_ok=True)
            durable_files.replace(path, _line(facts), _MODE)
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error

    def _path(self, facts: ModuleContents) -> Path:
        return self._folder / f"{facts.serial.hex().upper()}.txt"


def _line(facts: ModuleContents) -> bytes:
    return f"{facts.scheme.salt.hex()}\t{facts.scheme.cost}\t{facts.public_key.hex()}\n".encode()
