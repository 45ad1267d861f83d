"""`signer-module password set`, `change` and `check`."""

from __future__ import annotations

from pathlib import Path

import click

from atcaprov.errors import UsageError
from signer_module import passwords
from signer_module.device_options import needed_device
from signer_module.module import open_module
from signer_module.password_change import change_password, set_password


@click.group("password")
def password_group() -> None:
    """The password of a module, which its chip asks for."""


@password_group.command("set")
@needed_device
@passwords.password_options(new=False, whose="the new")
def password_set(device: str, password_file: Path | None, password_fd: int | None) -> None:
    """Give a module its first password."""
    source = passwords.source(password_file, password_fd)
    with open_module(device) as module:
        set_password(module, _chosen(source))
        click.echo(f"Module {module.serial.hex().upper()}: password set.")


@password_group.command("change")
@needed_device
@passwords.password_options("old-", new=False, whose="the old")
@passwords.password_options(new=False, whose="the new")
def password_change(
    device: str,
    old_password_file: Path | None,
    old_password_fd: int | None,
    password_file: Path | None,
    password_fd: int | None,
) -> None:
    """Replace a module's password; the old one is needed."""
    old_source = passwords.source(old_password_file, old_password_fd)
    source = passwords.source(password_file, password_fd)
    with open_module(device) as module:
        change_password(module, old_source.read("Old password of the module"), _chosen(source))
        click.echo(f"Module {module.serial.hex().upper()}: password changed.")


@password_group.command("check")
@needed_device
@passwords.password_options(new=False, whose="the module's")
def password_check(device: str, password_file: Path | None, password_fd: int | None) -> None:
    """Try a password."""
    source = passwords.source(password_file, password_fd)
    with open_module(device) as module:
        if not module.needs_password:
            click.echo(f"Module {module.serial.hex().upper()}: it needs no password.")
            return
        module.unlock(source.read("Password of the module"))
        click.echo(f"Module {module.serial.hex().upper()}: the password is right.")


def _chosen(source: passwords.PasswordSource) -> bytes:
    password = source.choose("New password of the module")
    if password is None:
        raise UsageError("A new password is needed.")
    return password
