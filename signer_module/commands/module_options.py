"""Options and questions of commands for modules: the device, what its chip is to enforce, and consent."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from atcaprov.errors import UsageError
from atcaprov.program.console_text import say
from signer_module.commands.option_groups import option_group
from signer_module.commands.password_options import PasswordSource
from signer_module.on_chip.creation.chip_check import Judge, look_first
from signer_module.on_chip.creation.module_builder import ModuleOrder
from signer_module.on_chip.creation.plan import CreatedModule
from signer_module.on_chip.module import RootModule, SignerModule
from signer_module.on_chip.password_keys import COST, LEAST_COST, MOST_COST
from signer_module.on_chip.slot_layout import Variant

_CONSENT: Final = "yes"

device_option = click.option(
    "--device", "device", metavar="URL", help="Device URL of the module, such as i2c://1/0x60."
)
needed_device = click.option("--device", "device", metavar="URL", required=True, help="Device URL of the module.")


@dataclass(frozen=True)
class OrderOptions:
    """What the command line says of a new module."""

    quota: int | None
    password_later: bool
    scrypt_cost: int
    yes: bool

    def look_first(
        self, url: str, source: PasswordSource, finished: Judge | None = None, *, begun: bool = False
    ) -> None:
        """Check the chip before the user is asked for anything; raises as `chip_check.look_first`."""
        self._require_one_will(source)
        variant = Variant(not source.none, self.quota is not None)
        warning = look_first(url, variant, self.quota, finished, begun=begun)
        if warning is not None:
            say(f"Warning: {warning}", err=True)

    def order(self, source: PasswordSource) -> ModuleOrder:
        """Return what the chip is to enforce; asks for the password unless an option says otherwise."""
        self._require_one_will(source)
        password = None if self.password_later else source.choose("Password for the module")
        return ModuleOrder(
            password,
            may_have_password=password is not None or self.password_later,
            quota=self.quota,
            scrypt_cost=self.scrypt_cost,
        )

    def _require_one_will(self, source: PasswordSource) -> None:
        if self.password_later and source.given:
            raise UsageError("--password-later cannot be used with a password or with --no-password.")

    def refuse(self) -> None:
        """Raise UsageError if an option needs a chip to enforce it: the new key is in none."""
        if self.quota is not None or self.password_later:
            raise UsageError(
                "--quota and --password-later are for modules: only a chip can enforce them.", advice="Add --device."
            )

    def consent(self, plan: Sequence[str]) -> None:
        """Show what will be done permanently, and ask the user to confirm; raises UsageError otherwise."""
        for line in plan:
            say(line, err=True)
        if self.yes:
            return
        if not sys.stdin.isatty():
            raise UsageError("There is no terminal for the confirmation.", advice="Check the plan, then add --yes.")
        answer: str = click.prompt(f"Type {_CONSENT} to continue", default="", show_default=False, err=True)
        if answer.strip() != _CONSENT:
            raise UsageError("Nothing was changed.")


order_options = option_group(
    "order_options",
    OrderOptions,
    {
        "quota": click.option("--quota", type=int, metavar="N", help="The module makes at most N signatures."),
        "password_later": click.option(
            "--password-later", is_flag=True, help="The module gets its first password by 'password set'."
        ),
        "scrypt_cost": click.option(
            "--scrypt-cost",
            metavar="N",
            type=click.IntRange(LEAST_COST, MOST_COST),
            default=COST,
            show_default=True,
            help="Cost of one guess of the password: log2 of scrypt's N.",
        ),
        "yes": click.option("--yes", is_flag=True, help="Do not ask before the chip is locked."),
    },
)
"""Adds what says what the chip of a new module enforces; the command gets `OrderOptions`."""


def warnings(outliving: Iterable[str]) -> list[str]:
    """Return the warnings about the dates of a new signer as lines for people."""
    return [f"Warning: the signer {text}" for text in outliving]


def require_one(folder: Path | None, device: str | None) -> None:
    """Raise UsageError unless either a folder or a module is named."""
    require_one_of({"a folder": folder, "a module with --device": device})


def require_one_of(places: Mapping[str, object]) -> None:
    """Raise UsageError unless exactly one of the places, named as in a sentence, was given."""
    given = [name for name, value in places.items() if value is not None]
    if not given:
        raise UsageError("No root or signer is given.", advice=f"Give {' or '.join(places)}.")
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given).capitalize()} were both given.", advice="Leave out one of them.")


def done_text(made: CreatedModule[RootModule] | CreatedModule[SignerModule]) -> str:
    """Return the end of a sentence: whether this run created the module or found it finished."""
    return "is finished already" if made.already else "created"


def signatures_of(module: RootModule | SignerModule) -> str:
    """Return the number of signatures that the chip allows, as text; it may differ from the order."""
    quota = module.read_quota()
    return "" if quota is None else f", {quota.remaining} signatures"
