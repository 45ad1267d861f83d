"""Print text that is safe to show: names from outside cannot control the terminal or turn the writing direction."""

from __future__ import annotations

import click

from atcaprov.terminal.printable import printable_lines


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print lines, on standard error if `err`, with a question mark for each character that does not print.

    Tabs, which separate the columns of logs, stay.
    """
    columns = map(printable_lines, text.split("\t"))
    click.echo("\t".join(columns) + end, nl=False, err=err)


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun, such as `1 certificate`; `many` is the plural if it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"
