"""Ask for a password on a terminal, without showing it."""

from __future__ import annotations

import sys

import click

from atcaprov.errors import UsageError


def ask_password(prompt: str, *, advice: str, confirm: bool = False) -> bytes:
    """Return what is typed, in UTF-8; asked twice if it is to be confirmed.

    Raises UsageError with `advice` if there is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"There is no terminal for entering the {prompt[0].lower()}{prompt[1:]}.", advice=advice)
    again = f"{prompt} again" if confirm else False
    answer: str = click.prompt(prompt, hide_input=True, confirmation_prompt=again, err=True)
    return answer.encode()
