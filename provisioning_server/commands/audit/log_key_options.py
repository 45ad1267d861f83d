"""`--log-module URL` and `--log-slot NUM`: the chip with the key of the log, for commands that sign checkpoints."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from provisioning_server.audit.log_key import LogChip

_LAST_SLOT = 15


def log_key_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options; its function gets them as `log_chip`, a LogChip or None."""

    @functools.wraps(function)
    def with_chip(*arguments: Any, log_module: str | None, log_slot: int, **values: Any) -> Any:
        return function(*arguments, log_chip=None if log_module is None else LogChip(log_module, log_slot), **values)

    slot = click.option(
        "--log-slot", metavar="NUM", default=0, show_default=True, type=click.IntRange(0, _LAST_SLOT),
        help="Slot of the key in that chip.",
    )  # fmt: skip
    module = click.option("--log-module", metavar="URL", help="Chip that signs the checkpoints of this ledger.")
    return module(slot(with_chip))
