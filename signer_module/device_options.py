"""Options and questions of commands for modules: the device, what its chip shall enforce, the last word."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from atcaprov.errors import UsageError
from signer_module.making import ModuleOrder
from signer_module.password_keys import COST, LEAST_COST, MOST_COST
from signer_module.passwords import PasswordSource

_F = TypeVar("_F", bound=Callable[..., Any])
_CONSENT: Final = "yes"

device_option = click.option("--device", "device", metavar="URL", help="Device URL of the module, for example i2c://1.")
needed_device = click.option("--device", "device", metavar="URL", required=True, help="Device URL of the module.")


def order_options(function: _F) -> _F:
    """Add what says what the chip of a new module enforces."""
    options = (
        click.option("--quota", type=int, metavar="N", help="The module makes N signatures and not one more."),
        click.option("--password-later", is_flag=True, help="The module gets its first password by 'password set'."),
        click.option(
            "--scrypt-cost",
            type=click.IntRange(LEAST_COST, MOST_COST),
            default=COST,
            show_default=True,
            help="What a guess of the password costs: log2 of scrypt's N.",
        ),
        click.option("--yes", is_flag=True, help="Do not ask before the chip is locked."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def order(source: PasswordSource, *, quota: int | None, password_later: bool, scrypt_cost: int) -> ModuleOrder:
    """Return what the chip shall enforce; asks for the password unless an option says otherwise."""
    if password_later and source.given:
        raise UsageError("--password-later does not go with a password or with --no-password.")
    password = None if password_later else source.choose("Password for the module")
    return ModuleOrder(
        password,
        may_have_password=password is not None or password_later,
        quota=quota,
        scrypt_cost=scrypt_cost,
    )


def require_one(folder: Path | None, device: str | None) -> None:
    """Raise UsageError unless either a folder or a module is named."""
    if (folder is None) == (device is None):
        raise UsageError("Which root or signer?", advice="Name a folder, or --device for a module.")


def consent(plan: Sequence[str], *, given: bool) -> None:
    """Show what will be done for ever, and let the user say yes; raises UsageError when he does not."""
    for line in plan:
        click.echo(line, err=True)
    if given:
        return
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on.", advice="Add --yes if the plan is what you want.")
    answer: str = click.prompt(f"Type {_CONSENT} to go on", default="", show_default=False, err=True)
    if answer.strip() != _CONSENT:
        raise UsageError("Nothing was changed.")
