"""`--data DIR` and `--ledger URL` of the commands: the ledger that the server has, under the same defaults."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from atcaprov.errors import UsageError
from provisioning_server.commands.parameter_types import LedgerUrl
from provisioning_server.ledger.ledger_place import LedgerPlace, PostgresqlUrl
from provisioning_server.settings import default_data


def _data_of_the_program() -> Path:
    """Return the folder that stands before the command, in a variable or in the settings file; else the user's."""
    found = click.get_current_context().find_root().params.get("data")
    return found if isinstance(found, Path) else default_data()


def _ledger_of_the_program() -> PostgresqlUrl | None:
    found = click.get_current_context().find_root().params.get("ledger")
    return found if isinstance(found, PostgresqlUrl) else None


def ledger_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; its function gets them as `place`, a LedgerPlace."""

    @functools.wraps(function)
    def with_place(*arguments: Any, data: Path, ledger: PostgresqlUrl | None, **values: Any) -> Any:
        return function(*arguments, place=LedgerPlace(data, ledger), **values)

    data_option = click.option(
        "--data",
        metavar="DIR",
        type=click.Path(path_type=Path),
        default=_data_of_the_program,
        allow_from_autoenv=False,
        show_default="as for the server",
        help="Data folder of the server.",
    )
    ledger_option = click.option(
        "--ledger",
        metavar="URL",
        type=LedgerUrl(),
        default=_ledger_of_the_program,
        allow_from_autoenv=False,
        show_default="as for the server",
        help="Database of the ledger, if several servers share it.",
    )
    return data_option(ledger_option(with_place))


def folder_of(place: LedgerPlace, advice: str) -> Path:
    """Return the data folder of a ledger in it; raises UsageError with the advice for a ledger on PostgreSQL."""
    if place.url is not None:
        raise UsageError(f"The ledger is on PostgreSQL, at {place.url}.", advice=advice)
    return place.data
