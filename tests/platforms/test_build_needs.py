"""`make setup` asks for build tools only where pip has to build."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from tests.platforms.build_needs import APT_LINE, build_is_needed, complaint

ROOT = Path(__file__).parents[2]
AS_SOURCE = "20250916"
SYSTEMS = ((3, 11), (3, 13), (3, 14)), ("x86_64", "AMD64", "aarch64"), ("linux", "win32", "darwin")


def test_it_is_as_the_requirements_say() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    drivers = [Requirement(text) for text in project["dependencies"] if text.startswith("cryptoauthlib")]
    for version, machine, system in itertools.product(*SYSTEMS):
        names = {"python_version": f"{version[0]}.{version[1]}", "platform_machine": machine, "sys_platform": system}
        chosen = [str(each.specifier) for each in drivers if each.marker is None or each.marker.evaluate(names)]
        assert len(chosen) == 1
        assert build_is_needed(version, machine, system) is (AS_SOURCE in chosen[0])


def test_the_missing_programs_and_their_packages_are_named() -> None:
    told = complaint((3, 14), "x86_64", "linux", lambda program: None if program == "cmake" else "/usr/bin/cc")
    assert "cmake cannot be found" in told
    assert APT_LINE in told
    assert APT_LINE in (ROOT / "docs" / "howto" / "install.md").read_text(encoding="utf-8")


def test_no_build_package_is_asked_for_with_a_wheel_or_a_complete_system() -> None:
    assert complaint((3, 13), "x86_64", "linux", lambda _: None) == ""
    assert complaint((3, 14), "aarch64", "linux", lambda program: program) == ""


def test_setup_asks_before_pip() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition(".ready:")[2]
    assert re.search(r"build_needs\.py.*pip install", recipe, re.DOTALL)
