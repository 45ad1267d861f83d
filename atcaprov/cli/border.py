"""The border between a program and its caller: every error becomes one message on stderr and one exit code."""

from __future__ import annotations

import os
import sys
from typing import Final, NoReturn

import click

from atcaprov.errors import AtcaProvError

INTERRUPTED: Final = 130
_FAILED: Final = 1


def run_program(command: click.Command, name: str, arguments: list[str] | None = None) -> NoReturn:
    """Run a click command as the whole program and exit; `arguments` default to those of the process."""
    sys.exit(exit_code(command, name, arguments))


def exit_code(command: click.Command, name: str, arguments: list[str] | None = None) -> int:
    """Run a click command as the whole program and return its exit code; its errors have been told by then."""
    try:
        result = command.main(args=arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except AtcaProvError as error:
        click.echo(error_text(error), err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; what Python would flush at its end goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    return result if isinstance(result, int) else 0


def error_text(error: AtcaProvError) -> str:
    """Return an error as people read it: what happened with its code, then what to do on a line of its own."""
    text = f"Error [{error.code}]: {error.what}"
    return f"{text}\n{error.advice}" if error.advice else text
