"""docs/explanation/architecture.md says what the tree and the import contracts say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = (ROOT / "docs" / "explanation" / "architecture.md").read_text("utf-8")
LAYERS: Final = re.compile(r"^```layers (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
CODE: Final = re.compile(r"`([^`\n]+)`")
PATH: Final = re.compile(r"(?:[\w.-]+/)*[\w.-]*(?:\.(?:py|toml|html|md)|/)")
CONTRACTS: Final = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]


def paths() -> Iterator[tuple[str, Path]]:
    """Give each path in backticks; a bare name is beside or in the path before it in its line."""
    for line in PAGE.splitlines():
        before = ROOT
        for text in CODE.findall(line):
            if PATH.fullmatch(text):
                places = (ROOT / text, before.parent / text, before / text)
                before = next((path for path in places if path.exists()), places[0])
                yield text, before


def test_every_path_exists() -> None:
    found = list(paths())
    assert len(found) > 60
    assert [text for text, path in found if not path.exists()] == []


def test_the_table_serves_twenty_changes() -> None:
    table = PAGE.split("## To change something")[1].split("\n## ")[0]
    assert len(re.findall(r"^\| (?!To change|---).*`.*\|$", table, flags=re.MULTILINE)) >= 20


@pytest.mark.parametrize("package", ["atcaprov", "provisioning_client", "provisioning_server", "signer_module"])
def test_layers_are_those_of_the_contract(package: str) -> None:
    (contract,) = [found for found in CONTRACTS if found.get("containers") == [package]]
    assert dict(LAYERS.findall(PAGE))[package].splitlines() == contract["layers"]


def test_every_room_is_listed() -> None:
    rooms = PAGE.split("## Rooms")[1].split("\n## ")[0]
    packages = {
        path.parent.relative_to(ROOT).as_posix() + "/"
        for package in ("atcaprov", "provisioning_client", "provisioning_server", "signer_module")
        for path in (ROOT / package).rglob("__init__.py")
    }
    assert packages - set(CODE.findall(rooms)) == set()
