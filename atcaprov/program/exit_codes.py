"""Exit codes: every error that ends a program becomes one message on standard error and one exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import click
from click.core import ParameterSource

from atcaprov.errors import AtcaProvError, Code, UsageError
from atcaprov.program.console_text import say
from atcaprov.program.signals import INTERRUPTED, ended_by_signals
from atcaprov.terminal.printable import folded, printable_lines, terminal_columns

_FAILED: Final = 1
_MAX_DETAILS: Final = 30
"""More than the fields of most certificates."""


def run_program(command: click.Command, name: str, arguments: list[str] | None = None) -> NoReturn:
    """Run a click command as the whole program and exit; `arguments` default to those of the process.

    SIGTERM and SIGHUP end it cleanly, with exit code 143 or 129.
    """
    with ended_by_signals():
        code = exit_code(command, name, arguments)
    sys.exit(code)


def exit_code(command: click.Command, name: str, arguments: list[str] | None = None) -> int:
    """Run a click command as the whole program and return its exit code; its errors are printed by then."""
    _print_anything()
    try:
        result = command.main(args=arguments, prog_name=name, standalone_mode=False)
        if sys.stdout is not None:  # the caller may have closed it
            sys.stdout.flush()
    except AtcaProvError as error:
        _tell(error)
        return error.exit_code
    except click.ClickException as error:
        _blame_environment(error)
        _show(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("Interrupted.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        _drop_output()  # its reader has gone
        return _FAILED
    except OSError as error:
        if error.filename is not None or not _is_output_lost():
            raise
        _drop_output()
        lost = UsageError(f"Standard output cannot be written: {error.strerror}.", code=Code.FILE_UNWRITABLE)
        _tell(lost)
        return lost.exit_code
    return result if isinstance(result, int) else 0


def _show(error: click.ClickException) -> None:
    """Print an error of click as click does, without characters that control a terminal."""
    text = io.StringIO()
    error.show(text)
    say(text.getvalue(), err=True, end="")


def _blame_environment(error: click.ClickException) -> None:
    """Name the environment variable that a bad value came from, instead of an option that was not given."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param is None:
        return
    name, prefix = error.param.name or "", error.ctx.auto_envvar_prefix
    if prefix and error.ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
        error.param_hint = f"the environment variable {prefix}_{name.upper()}"


def _print_anything() -> None:
    """Let standard output take names outside its encoding: a run that succeeded must not fail when it reports that."""
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _is_output_lost() -> bool:
    """Tell whether it was standard output that failed, by writing an empty line: the error itself does not say."""
    if sys.stdout is None:
        return False
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except (OSError, ValueError):
        return True
    return False


def _drop_output() -> None:
    """Discard what Python would flush at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(error: AtcaProvError) -> None:
    say(folded(error_text(error), terminal_columns(sys.stderr)), err=True)


def error_text(error: AtcaProvError) -> str:
    """Return an error as people read it: its code and what happened, what to do, and each detail on a line."""
    lines = [f"Error [{error.code}]: {error.what}", *([error.advice] if error.advice else [])]
    return printable_lines("\n".join([*lines, *(f"  {line}" for line in shown_details(error.details))]))


def shown_details(details: Sequence[str]) -> list[str]:
    """Return the lines of an error's details that are printed: all of them, or the first ones and how many follow."""
    if len(details) <= _MAX_DETAILS:
        return list(details)
    return [*details[:_MAX_DETAILS], f"and {len(details) - _MAX_DETAILS} more"]
