"""Options of a command that belong together reach it as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

Command = Callable[..., Any]
Option = Callable[[Command], Command]


def option_group(parameter: str, build: Callable[..., Any], options: Mapping[str, Option]) -> Option:
    """Return a decorator that adds options, and hands the command `build(**values)` as `parameter`.

    `options` maps the parameter names of the options, which `build` takes, to click's decorators.
    """

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def gathered(**values: Any) -> Any:
            own = {name: values.pop(name) for name in options}
            return command(**values, **{parameter: build(**own)})

        decorated: Command = gathered
        for option in reversed(list(options.values())):
            decorated = option(decorated)
        return decorated

    return decorate
