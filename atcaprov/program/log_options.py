"""`-v`, `-q` and `--log-level`: how much of its log a program shows. The same in all programs."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, Final

import click
from click.core import ParameterSource

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_QUIET: Final = {
    logging.WARNING: (logging.ERROR, "Log errors only."),
    logging.INFO: (logging.WARNING, "Log warnings and errors only."),
}
"""What -q shows instead of a default, and its help."""

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
_VERBOSE_OPTION: Final[_Decorator] = click.option(
    "-v",
    "--verbose",
    count=True,
    show_default=False,
    allow_from_autoenv=False,
    help="Log devices, stages and connections; -vv each command and message, too.",
)
_LEVEL_OPTION: Final[_Decorator] = click.option(
    "--log-level", type=click.Choice(list(_LEVELS)), help="Log messages of this level and above."
)


def log_options(default: int = logging.WARNING) -> _Decorator:
    """Give a click command the options of the log.

    Its function gets the level that they choose as `log_level`, None if none of them is given.
    """
    quiet_level, quiet_help = _QUIET[default]

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def with_level(*arguments: Any, verbose: int, quiet: bool, log_level: str | None, **options: Any) -> Any:
            _refuse_several(verbose, quiet=quiet)
            level = _LEVELS.get(log_level or "")
            if quiet:
                level = quiet_level
            elif verbose:
                level = logging.INFO if verbose == 1 else logging.DEBUG
            return function(*arguments, log_level=level, **options)

        return _VERBOSE_OPTION(_quiet_option(quiet_help)(_LEVEL_OPTION(with_level)))

    return decorate


def _quiet_option(text: str) -> _Decorator:
    return click.option("-q", "--quiet", is_flag=True, show_default=False, allow_from_autoenv=False, help=text)


def _refuse_several(verbose: int, *, quiet: bool) -> None:
    """Raise click.UsageError if the command line says two things; over the environment, -v and -q win."""
    source = click.get_current_context().get_parameter_source("log_level")
    words = (("-v", verbose), ("-q", quiet), ("--log-level", source is ParameterSource.COMMANDLINE))
    given = [name for name, is_given in words if is_given]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} cannot be used together. Use one of them.")
