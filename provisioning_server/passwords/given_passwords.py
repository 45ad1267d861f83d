"""Passwords given without a console: lines of a file or descriptor, and credentials of systemd.

systemd puts the credentials of a unit (LoadCredential=, SetCredentialEncrypted=) as files into the folder that
$CREDENTIALS_DIRECTORY names: `signer-01231E6CD82CA571EE` is the password of that signer, `signer-passwords` holds
lines as a file of passwords does.

A line is `SIGNER=PASSWORD`, SIGNER being a serial number or a name, or a password alone. `=PASSWORD` is one alone
that may have an equals sign in it.
"""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from atcaprov.bounded_reading import is_file
from atcaprov.errors import Code, UsageError
from signer_module.password_rules import require_private, without_mark

PASSWORDS_MAX: Final = 64 * 1024
FOLDER_VARIABLE: Final = "CREDENTIALS_DIRECTORY"
LINES: Final = "signer-passwords"


@dataclass(frozen=True, slots=True)
class GivenPassword:
    """A password, and the serial number or name of the signer that it is for; `signer` is empty if it names none.

    Neither appears in a repr: who forgot the rule about equals signs has a piece of the password in `signer`.
    """

    password: bytes = field(repr=False)
    signer: str = field(default="", repr=False)

    def names(self, serial: bytes, name: str) -> bool:
        """Return whether it is for the signer with this serial number (9 bytes) and name."""
        return bool(self.signer) and (self.signer == name or self.signer.upper() == serial.hex().upper())


@dataclass(frozen=True, slots=True)
class GivenPasswords:
    """Lines of files and descriptors, and a folder of credentials."""

    lines: tuple[GivenPassword, ...] = field(default=(), repr=False)
    folder: Path | None = None

    def named(self, serial: bytes, name: str) -> tuple[bytes, ...]:
        """Return the passwords that are for a signer and no other, its own credential first.

        Raises:
            UsageError: FILE_UNREADABLE, or FILE_INVALID for a credential of more than 64 KiB.
        """
        own = map(without_mark, self._credential(f"signer-{serial.hex().upper()}").splitlines()[:1])
        named = [line.password for line in self._all_lines() if line.names(serial, name)]
        return tuple(dict.fromkeys(filter(None, (*own, *named))))

    def unnamed(self) -> tuple[bytes, ...]:
        """Return the passwords that name no signer; raises as `named`."""
        return tuple(dict.fromkeys(line.password for line in self._all_lines() if not line.signer))

    def named_any(self) -> bool:
        """Return whether a line names a signer; raises as `named`."""
        return any(line.signer for line in self._all_lines())

    def _all_lines(self) -> tuple[GivenPassword, ...]:
        return (*self.lines, *password_lines(self._credential(LINES), f"The credential {LINES}"))

    def _credential(self, name: str) -> bytes:
        if self.folder is None:
            return b""
        path = self.folder / name
        try:
            if not is_file(path):
                return b""
            with path.open("rb") as file:
                return _not_too_long(file.read(PASSWORDS_MAX + 1), str(path))
        except OSError as error:
            raise UsageError(
                f"The credential {path} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE
            ) from error


def credentials_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the folder of systemd's credentials, if the service has any."""
    name = environment.get(FOLDER_VARIABLE)
    return Path(name) if name else None


def read_passwords(source: Path | int) -> tuple[GivenPassword, ...]:
    """Read lines of passwords from a file or an open file descriptor.

    Raises:
        UsageError: FILE_UNREADABLE, FILE_INVALID for more than 64 KiB, or PASSWORD_EXPOSED.
    """
    try:
        with open(source, "rb") as file:  # noqa: PTH123 - a descriptor has no Path
            require_private(source)
            data = file.read(PASSWORDS_MAX + 1)
    except OSError as error:
        raise UsageError(
            f"The passwords cannot be read from {_name(source)}: {error.strerror}.",
            advice="Check --password-file or --password-fd.",
            code=Code.FILE_UNREADABLE,
        ) from error
    return password_lines(data, _name(source))


def password_lines(data: bytes, source: str) -> tuple[GivenPassword, ...]:
    """Split lines of passwords; empty lines are skipped. Raises UsageError FILE_INVALID above 64 KiB."""
    return tuple(given for given in map(_line, _not_too_long(data, source).splitlines()) if given.password)


def _line(line: bytes) -> GivenPassword:
    line = without_mark(line)
    signer, equals, password = line.partition(b"=")
    if not equals:
        return GivenPassword(line)
    return GivenPassword(password, signer.decode(errors="replace").strip(string.whitespace))


def _not_too_long(data: bytes, source: str) -> bytes:
    if len(data) > PASSWORDS_MAX:
        raise UsageError(f"{source} is too long for a file of passwords.", code=Code.FILE_INVALID)
    return data


def _name(source: Path | int) -> str:
    return f"file descriptor {source}" if isinstance(source, int) else os.fspath(source)
