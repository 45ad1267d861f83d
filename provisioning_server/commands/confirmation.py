"""Ask a person before a command does what cannot be undone."""

from __future__ import annotations

import sys

import click

from atcaprov.errors import UsageError


def confirmed(question: str, *, yes: bool) -> bool:
    """Return whether the person agrees; True without a question if `--yes` was given.

    Raises UsageError where no one can answer.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("The command asks before it goes on, and no one can answer here.", advice="Add --yes.")
    return click.confirm(question, err=True)
