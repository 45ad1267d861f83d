"""The reference pages of signer-module say what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from signer_module.cli import cli
from signer_module.commands.password_options import MAX_PASSWORD
from signer_module.on_chip.password_keys import COST, LEAST_COST, MOST_COST
from signer_module.on_chip.quota import MOST
from signer_module.on_chip.slot_layout import DESCRIPTION_SIZE
from signer_module.on_files.encrypted_pkcs8 import ROUNDS
from signer_module.password_rules import LEAST_DIFFERENT, LEAST_LENGTH

REFERENCE = Path(__file__).parents[2] / "docs/reference"
PAGE = (REFERENCE / "signer-module.md").read_text(encoding="utf-8")
FILES = (REFERENCE / "signer-files.md").read_text(encoding="utf-8")
CHIP = (REFERENCE / "signer-module-chip.md").read_text(encoding="utf-8")


def command(*names: str) -> click.Command:
    found: click.Command = cli
    for name in names:
        assert isinstance(found, click.Group)
        found = found.commands[name]
    return found


COMMANDS = [
    ("root", "create"),
    ("signer", "create"),
    ("signer", "request"),
    ("signer", "import"),
    ("export",),
    ("info",),
    ("verify",),
    ("backup-public",),
    ("password", "set"),
    ("password", "change"),
    ("password", "check"),
    ("description",),
]


@pytest.mark.parametrize("names", COMMANDS, ids="-".join)
def test_every_option_is_explained_and_no_other(names: tuple[str, ...]) -> None:
    section = PAGE.split(f"\n### {' '.join(names)}\n", 1)[1].split("\n#", 1)[0]
    options = {option for parameter in command(*names).params for option in parameter.opts if option[:1] == "-"}
    assert set(re.findall(r"--[a-z][a-z0-9-]*", "".join(re.findall(r"^\|[^|]*\|", section, re.MULTILINE)))) == options


@pytest.mark.parametrize(
    ("name", "title"),
    [("from-certificate", "Definitions from certificates"), ("serial-number", "The serial number beforehand")],
)
def test_every_option_of_definitions_is_explained(name: str, title: str) -> None:
    page = (REFERENCE / "definition-from-certificate.md").read_text(encoding="utf-8")
    section = re.split(r"^#+ ", page.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
    options = {option for parameter in command("definition", name).params for option in parameter.opts}
    cells = "".join(re.findall(r"^\|[^|]*\|", section, re.MULTILINE))
    assert set(re.findall(r"--[a-z][a-z0-9-]*", cells)) == {option for option in options if option[:2] == "--"}


def test_every_command_is_explained() -> None:
    for name, entry in cli.commands.items():
        names = [f"{name} {inner}" for inner in entry.commands] if isinstance(entry, click.Group) else [name]
        for full in names:
            assert f"| `signer-module {full}" in PAGE


def test_figures() -> None:
    assert f"N is 1 to {MOST:,}." in CHIP
    assert f"N = 2^{COST} " in CHIP
    assert f"{LEAST_COST} to {MOST_COST}; {COST}" in PAGE
    assert f"= {DESCRIPTION_SIZE} bytes" in CHIP
    assert f"{ROUNDS:,} rounds" in FILES
    assert f"{LEAST_LENGTH} to {MAX_PASSWORD} bytes, at least {LEAST_DIFFERENT} of them" in FILES
