"""`signer-module password set`, `change` and `check`, on folders and on modules."""

from __future__ import annotations

from pathlib import Path

import click

from atcaprov.errors import UsageError
from atcaprov.program.console_text import say
from signer_module.commands.module_options import device_option, require_one
from signer_module.commands.options import FOLDER
from signer_module.commands.password_options import PasswordSource, password_options
from signer_module.folder_key import open_key_folder, replace_password
from signer_module.on_chip.module import open_module
from signer_module.on_chip.password_change import change_password, set_password

_folder = click.argument("folder", type=FOLDER, required=False)


@click.group("password")
def password_group() -> None:
    """Set, change or check the password of a key. A module's chip asks for it, a folder's key is encrypted under it."""


@password_group.command("set")
@_folder
@device_option
@password_options(new=False, whose="the new")
def password_set(folder: Path | None, device: str | None, source: PasswordSource) -> None:
    """Give a key its first password."""
    require_one(folder, device)
    if folder is not None:
        opened = open_key_folder(folder)
        if opened.key_is_encrypted:
            raise UsageError("The key already has a password.", advice="Change it with 'password change'.")
        replace_password(opened, None, _chosen(source))
        say(f"{folder}: password set.")
        return
    assert device is not None
    with open_module(device) as module:
        set_password(module, _chosen(source))
        say(f"Module {module.serial.hex().upper()}: password set.")


@password_group.command("change")
@_folder
@device_option
@password_options("old-", new=False, whose="the old")
@password_options(new=False, whose="the new")
def password_change(
    folder: Path | None,
    device: str | None,
    old_source: PasswordSource,
    source: PasswordSource,
) -> None:
    """Replace a password; the old one is needed."""
    require_one(folder, device)
    if folder is not None:
        opened = open_key_folder(folder)
        if not opened.key_is_encrypted:
            raise UsageError("The key has no password yet.", advice="Set one with 'password set'.")
        replace_password(opened, old_source.read("Old password"), _chosen(source))
        say(f"{folder}: password changed.")
        return
    assert device is not None
    with open_module(device) as module:
        changed = change_password(module, old_source.read("Old password"), _chosen(source))
        verdict = "password changed." if changed else "the password had already been changed to the new one."
        say(f"Module {module.serial.hex().upper()}: {verdict}")


@password_group.command("check")
@_folder
@device_option
@password_options(new=False, whose="the key's")
def password_check(folder: Path | None, device: str | None, source: PasswordSource) -> None:
    """Try a password."""
    require_one(folder, device)
    if folder is not None:
        opened = open_key_folder(folder)
        if opened.key_is_encrypted:
            opened.unlock(source.read("Password"))
        say(f"{folder}: {_verdict(opened.key_is_encrypted)}")
        return
    assert device is not None
    with open_module(device) as module:
        if module.needs_password:
            module.unlock(source.read("Password"))
        say(f"Module {module.serial.hex().upper()}: {_verdict(module.needs_password)}")


def _verdict(needed: bool) -> str:
    return "the password is right." if needed else "it needs no password."


def _chosen(source: PasswordSource) -> bytes:
    password = source.choose("New password")
    if password is None:
        raise UsageError("A new password is needed.")
    return password
