"""A group of commands whose modules are imported only when a command is named."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands are the attribute `group` or `command` of their modules, imported on demand."""

    def __init__(self, *args: Any, modules: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._modules = modules
        """The module of each command, by the command's name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return sorted(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name."""
        name = self._modules.get(cmd_name)
        if name is None:
            return None
        module = importlib.import_module(name)
        found: click.Command = module.group if hasattr(module, "group") else module.command
        return found
