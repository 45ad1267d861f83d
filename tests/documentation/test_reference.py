from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

from atcaprov import Allow, AtcaProvError, Code, errors
from atcaprov.config_zone import toml_file
from atcaprov.config_zone.check import Rule

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
ERRORS = (REFERENCE / "errors.md").read_text()
CONFIG_ZONE = "".join(page.read_text() for page in sorted(REFERENCE.glob("config-zone*.md")))
CLASSES: dict[str, type[AtcaProvError]] = {
    name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, AtcaProvError)
}
FIRST_CELL = re.compile(r"^\| `([a-z0-9-]+)` \|", re.MULTILINE)


def rows(text: str) -> Counter[str]:
    return Counter(FIRST_CELL.findall(text))


def test_every_code_is_explained_once_and_no_other() -> None:
    assert rows(ERRORS) == Counter(code.value for code in Code)


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_its_exit_code(name: str) -> None:
    exit_code = CLASSES[name].exit_code
    assert f"| {exit_code} | `{name}` |" in ERRORS
    section = ERRORS.split(f"\n## {name}\n")[1].split("\n## ")[0]
    assert f"Exit code {exit_code}." in section
    assert str(CLASSES[name].default_code) in rows(section)


def test_every_rule_is_explained_once_and_no_other() -> None:
    checks = CONFIG_ZONE.split("\n## Checks\n")[1].split("\n## ")[0]
    assert rows(checks) == Counter(rule.value for rule in Rule)


@pytest.mark.parametrize("allow", Allow)
def test_every_wish_is_named(allow: Allow) -> None:
    assert f"`{allow}`" in CONFIG_ZONE


def field_names() -> set[str]:
    """Return the keys that the builder takes, out of its own calls."""
    calls = [
        node
        for node in ast.walk(ast.parse(inspect.getsource(toml_file)))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    takers = {"flag", "number", "slot", "optional_slot", "choice", "text", "hex_bytes", "table"}
    first = [call.args[0] for call in calls if call.func.attr in takers and call.args]  # type: ignore[attr-defined]
    return {argument.value for argument in first if isinstance(argument, ast.Constant)}  # type: ignore[misc]


def test_every_field_of_the_builder_is_explained() -> None:
    names = field_names() | {"counter_0", "counter_1"}
    assert len(names) > 40
    section = CONFIG_ZONE.split("\n## Named fields\n")[1].split("\n## ")[0]
    assert [name for name in sorted(names) if f"`{name}`" not in section] == []
