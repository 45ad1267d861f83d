"""`--data DIR` of the commands: the data folder that the server has, under the same default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from provisioning_server.settings import default_data


def _data_of_the_program() -> Path:
    """Return the folder that stands before the command, in a variable or in the settings file; else the user's."""
    found = click.get_current_context().find_root().params.get("data")
    return found if isinstance(found, Path) else default_data()


data_option: Final[Callable[[Callable[..., Any]], Callable[..., Any]]] = click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default=_data_of_the_program,
    allow_from_autoenv=False,
    show_default="as for the server",
    help="Data folder of the server.",
)
