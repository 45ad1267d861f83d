"""What programs say: nothing in a name from outside, such as a change of the writing direction, reaches a terminal."""

from __future__ import annotations

import click

from atcaprov.terminal.printable import printable_lines


def say(text: str, *, err: bool = False, end: str = "\n") -> None:
    """Print lines with a question mark for each character that does not print, to standard error if `err`.

    Tabs, which separate the columns of logs, stay.
    """
    columns = map(printable_lines, text.split("\t"))
    click.echo("\t".join(columns) + end, nl=False, err=err)
