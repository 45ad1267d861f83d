"""Options of the commands that print an enrolment token, and how it is given out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from atcaprov import durable_files
from atcaprov.errors import Code, UsageError
from atcaprov.program.console_text import say
from atcaprov.wire.server_place import ServerPlace
from provisioning_server.commands.administer import administer
from provisioning_server.commands.parameter_types import Duration
from provisioning_server.ledger.ledger_place import LedgerPlace
from provisioning_server.settings import DEFAULT_PORT

_OWNER_ONLY: Final = 0o600


def token_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--valid`, `--server` and `--output`; its function gets them as `valid`, `servers`, `output`."""
    options = (
        click.option(
            "--valid", metavar="DURATION", type=Duration(), default="1h", show_default=True,
            help="How long the token can be used, such as 30m or 7d; at most 30d.",
        ),
        click.option(
            "--server", "servers", metavar="HOST:PORT", multiple=True,
            help="Where the station reaches the server, if not where it listens; repeat it for several servers.",
        ),
        click.option(
            "-o", "--output", metavar="FILE", type=click.Path(path_type=Path),
            help="File for the token, for its owner alone, instead of the terminal.",
        ),
    )  # fmt: skip
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), function)


def print_token(
    place: LedgerPlace, action: str, name: str, valid: timedelta, servers: tuple[str, ...], output: Path | None
) -> None:
    """Do the action that makes a token, and give the token out as one line; raises AtcaProvError."""
    places = [str(ServerPlace.parse(each, DEFAULT_PORT)) for each in servers]
    seconds = int(valid.total_seconds())
    done = administer(place, action, {"name": name, "valid_seconds": seconds, "servers": places})
    if output is None:
        say(done["token"])
        return
    try:
        durable_files.replace(output, f"{done['token']}\n".encode(), _OWNER_ONLY)
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE) from error
    say(f"Token of the station {name} in {output}, until {done['until']}.")
