"""Passwords of key files: from the terminal, a file or a file descriptor; never from an argument's value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from atcaprov.bounded_reading import read_bytes
from atcaprov.errors import Code, UsageError
from atcaprov.program.password_prompt import ask_password
from signer_module.commands.option_groups import Option, option_group
from signer_module.password_rules import require_private, require_strong, without_mark

MAX_PASSWORD: Final = 1024
_LONGEST_LINE: Final = MAX_PASSWORD + 6
"""One byte more than a password may have, with a mark before it and CR LF behind it."""
_DESCRIPTOR_NAME: Final = "password_fd"
DESCRIPTOR: Final = click.IntRange(0, (1 << 31) - 1)
"""What may be the number of a file descriptor: Python takes no other."""


@dataclass(frozen=True)
class PasswordSource:
    """Where a password comes from; at most one of the options."""

    file: Path | None = None
    descriptor: int | None = None
    none: bool = False
    options: str = "--password-file or --password-fd"
    """What a person without a terminal can use."""

    @property
    def given(self) -> bool:
        """Whether an option names the source."""
        return self.file is not None or self.descriptor is not None or self.none

    def read(self, prompt: str) -> bytes:
        """Return the password that opens an existing key; asks on the terminal when no option names a source."""
        if self.file is not None or self.descriptor is not None:
            return self._from_option()
        return self._asked(prompt, confirm=False)

    def choose(self, prompt: str) -> bytes | None:
        """Return the password for a new key, asked twice on the terminal; None when it is to be stored unencrypted.

        Raises UsageError (password-weak) for one that would soon be guessed.
        """
        if self.none:
            return None
        given = self.file is not None or self.descriptor is not None
        password = self._from_option() if given else self._asked(prompt, confirm=True)
        require_strong(password)
        return password

    def _asked(self, prompt: str, *, confirm: bool) -> bytes:
        return _checked(ask_password(prompt, advice=f"Use {self.options}.", confirm=confirm), "the answer")

    def _from_option(self) -> bytes:
        if self.file is not None:
            data = read_bytes(self.file)
            require_private(self.file)
            return _checked(without_mark(data), str(self.file))
        assert self.descriptor is not None
        try:
            with os.fdopen(self.descriptor, "rb", closefd=False) as stream:
                require_private(self.descriptor)
                line = without_mark(stream.readline(_LONGEST_LINE))
        except OSError as error:
            raise UsageError(
                f"File descriptor {self.descriptor} cannot be read: {error.strerror}.", code=Code.FILE_UNREADABLE
            ) from error
        return _checked(line, f"file descriptor {self.descriptor}")


def _own_descriptor(context: click.Context, option: click.Parameter, number: int | None) -> int | None:
    """Refuse a descriptor that already gives another password: its first line could be either."""
    others = [name for name, value in context.params.items() if name.endswith(_DESCRIPTOR_NAME) and value == number]
    if number is not None and others:
        raise UsageError(
            f"--{others[0].replace('_', '-')} and {option.opts[0]} are both file descriptor {number}.",
            advice="Give each password a descriptor or a file of its own.",
        )
    return number


def _checked(data: bytes, source: str) -> bytes:
    password = data.split(b"\n", 1)[0].removesuffix(b"\r")
    if not password:
        raise UsageError(f"The first line of {source} is empty: the password is missing.")
    if len(password) > MAX_PASSWORD:
        raise UsageError(f"The password in {source} is longer than {MAX_PASSWORD} bytes.")
    return password


def password_options(prefix: str = "", *, new: bool, whose: str) -> Option:
    """Return a decorator with --PREFIXpassword-file, --PREFIXpassword-fd and, for a new key, --no-password.

    The command gets a `PasswordSource` as `source`, or `old_source` for the prefix "old-".
    """
    name = prefix.replace("-", "_")
    file_help = f"Read {whose} password from the first line of a file. Without it, the program asks on the terminal."
    options = {
        f"{name}password_file": click.option(
            f"--{prefix}password-file", type=click.Path(path_type=Path, dir_okay=False), help=file_help
        ),
        f"{name}{_DESCRIPTOR_NAME}": click.option(
            f"--{prefix}password-fd",
            type=DESCRIPTOR,
            metavar="N",
            callback=_own_descriptor,
            help=f"Read {whose} password from file descriptor N.",
        ),
    }
    if new:
        options[f"{name}no_password"] = click.option(
            f"--{prefix}no-password",
            is_flag=True,
            help=f"Store {whose} key unencrypted; a module never asks for a password.",
        )
    names = " or ".join(f"--{option.replace('_', '-')}" for option in options)
    return option_group(f"{name}source", lambda **values: _source(names, *values.values()), options)


def _source(names: str, file: Path | None, descriptor: int | None, none: bool = False) -> PasswordSource:
    if (file is not None) + (descriptor is not None) + none > 1:
        raise UsageError(f"Only one of {names} can be used for one key.")
    return PasswordSource(file, descriptor, none, names)
