"""Passwords that were given without a console: lines of a file or descriptor, and credentials of systemd.

systemd puts the credentials of a unit (LoadCredential=, SetCredentialEncrypted=) as files into the folder that
$CREDENTIALS_DIRECTORY names: `signer-01231E6CD82CA571EE` is the password of that signer, `signer-passwords` holds
passwords for all, one per line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from atcaprov.errors import Code, UsageError

PASSWORDS_MAX: Final = 64 * 1024
FOLDER_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
FOR_ALL: Final = "signer-passwords"


@dataclass(frozen=True, slots=True)
class GivenPasswords:
    """Passwords to try on each signer, and a folder of credentials; they appear in no repr."""

    for_all: tuple[bytes, ...] = field(default=(), repr=False)
    folder: Path | None = None

    def of(self, serial: bytes) -> tuple[bytes, ...]:
        """Return what may be the password of the signer with this serial number, its own credential first.

        Raises:
            UsageError: FILE_UNREADABLE, or FILE_INVALID for a credential of more than 64 KiB.
        """
        own = self._credential(f"signer-{serial.hex().upper()}")[:1]
        return tuple(dict.fromkeys((*own, *self.for_all, *self._credential(FOR_ALL))))

    def _credential(self, name: str) -> tuple[bytes, ...]:
        if self.folder is None or not (self.folder / name).is_file():
            return ()
        path = self.folder / name
        try:
            with path.open("rb") as file:
                return password_lines(file.read(PASSWORDS_MAX + 1), str(path))
        except OSError as error:
            raise UsageError(
                f"The credential {path} can't be read: {error.strerror}.", code=Code.FILE_UNREADABLE
            ) from error


def credentials_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder of systemd's credentials, if the service has any."""
    name = environment.get(FOLDER_VARIABLE)
    return Path(name) if name else None


def password_lines(data: bytes, source: str) -> tuple[bytes, ...]:
    """Split passwords, one per line; empty lines don't count. Raises UsageError FILE_INVALID above 64 KiB."""
    if len(data) > PASSWORDS_MAX:
        raise UsageError(f"{source} is too long for a file of passwords.", code=Code.FILE_INVALID)
    return tuple(line for line in data.splitlines() if line)
