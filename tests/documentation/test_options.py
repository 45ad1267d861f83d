"""Every option of every program is explained in the reference, and the reference explains no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from atcaprov.cli.main import atcaprov
from provisioning_client.cli import command as provisioning_client
from provisioning_server.cli import command as provisioning_server
from signer_module.cli import cli as signer_module

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
OF_CLICK = {"--help", "--version"}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")
PROGRAMS = (atcaprov, provisioning_client, provisioning_server, signer_module)


def options(command: click.Command) -> Iterator[str]:
    """Give the long options of a command and of those under it."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            names = (*parameter.opts, *parameter.secondary_opts)
            yield from (name for name in names if name.startswith("--"))
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):  # of `atcaprov` they are imported when they are asked for
            below = command.get_command(context, name)
            assert below is not None
            yield from options(below)


def test_the_options_of_the_client_are_explained() -> None:
    explained = set(OPTION.findall((REFERENCE / "provisioning-client.md").read_text(encoding="utf-8")))
    assert set(options(provisioning_client)) - OF_CLICK - explained == set()


def test_the_options_of_atcaprov_are_explained() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    assert set(options(atcaprov)) - OF_CLICK - set(OPTION.findall(text)) == set()


def test_the_options_of_the_commands_of_the_server_are_explained() -> None:
    pages = [REFERENCE / name for name in ("server-commands.md", "server-audit-commands.md", "work-orders.md")]
    explained = set(OPTION.findall("".join(page.read_text(encoding="utf-8") for page in pages)))
    context = click.Context(provisioning_server)
    for name in provisioning_server.list_commands(context):
        below = provisioning_server.get_command(context, name)
        assert below is not None
        assert set(options(below)) - OF_CLICK - explained == set()


@pytest.mark.parametrize("page", sorted(REFERENCE.glob("*.md")), ids=lambda page: page.name)
def test_no_page_explains_a_missing_option(page: Path) -> None:
    there = OF_CLICK.union(*map(options, PROGRAMS))
    text = re.sub(r"\]\([^)]*\)", "]", page.read_text(encoding="utf-8"))  # anchors of links look alike
    assert set(OPTION.findall(text)) - there == set()


@pytest.mark.parametrize(
    ("command", "prefix"),
    [(provisioning_client, "PROVISIONING_CLIENT"), (provisioning_server, "PROVISIONING_SERVER")],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_option_has_the_variable_that_the_page_promises(command: click.Command, prefix: str) -> None:
    for option in command.params:
        assert isinstance(option, click.Option)
        name = next(name for name in option.opts if name.startswith("--"))
        if name in OF_CLICK or not option.allow_from_autoenv:
            continue
        promised = f"{prefix}_{name[2:].replace('-', '_').upper()}"
        assert (option.envvar or f"{prefix}_{(option.name or '').upper()}") == promised


def groups(command: click.Command) -> Iterator[tuple[str, click.Group]]:
    """Give each group of commands with its name."""
    if isinstance(command, click.Group):
        yield command.name or "", command
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from groups(below)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_lists_of_commands_show_whole_sentences(program: click.Command) -> None:
    for name, group in groups(program):
        formatter = click.HelpFormatter(width=80)
        group.format_commands(click.Context(group, info_name=name), formatter)
        assert "..." not in formatter.getvalue()
