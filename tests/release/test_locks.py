"""The locks are whole: each install finds each package in one version, with hashes, on each platform."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from release import locks
from release.locks import BUILD, EXTRAS, Locked, read_lock

PROJECT: Final = tomllib.loads((locks.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
_SYSTEMS: Final = {
    "Linux": {"sys_platform": "linux", "os_name": "posix", "platform_machine": "x86_64", "platform_system": "Linux"},
    "Linux on arm64": {
        "sys_platform": "linux", "os_name": "posix", "platform_machine": "aarch64", "platform_system": "Linux",
    },
    "macOS": {"sys_platform": "darwin", "os_name": "posix", "platform_machine": "arm64", "platform_system": "Darwin"},
    "Windows": {"sys_platform": "win32", "os_name": "nt", "platform_machine": "AMD64", "platform_system": "Windows"},
}  # fmt: skip
PLATFORMS: Final[dict[str, dict[str, str]]] = {
    f"{system}, 3.{minor}": {
        **facts,
        "python_version": f"3.{minor}",
        "python_full_version": f"3.{minor}.4",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    for system, facts in _SYSTEMS.items()
    for minor in (11, 12, 13, 14)
}


def _applies(requirement: Requirement, platform: Mapping[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(dict(platform))


def _wanted(name: str) -> Iterator[Requirement]:
    texts = [*PROJECT["dependencies"]]
    for extra in EXTRAS[name]:
        texts += PROJECT["optional-dependencies"][extra]
    yield from map(Requirement, texts)


def _version(locked: Locked) -> str:
    (specifier,) = locked.requirement.specifier
    assert specifier.operator == "=="
    return specifier.version


@pytest.mark.parametrize("name", [*EXTRAS, BUILD])
def test_every_package_is_pinned_with_hashes(name: str) -> None:
    found = list(read_lock(name))
    assert found
    for locked in found:
        assert _version(locked)
        assert locked.requirement.url is None
        assert len(set(locked.hashes)) == len(locked.hashes) > 0


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("name", EXTRAS)
def test_each_platform_gets_one_version_of_what_the_project_needs(name: str, platform: str) -> None:
    facts = PLATFORMS[platform]
    found: dict[str, str] = {}
    for locked in read_lock(name):
        if _applies(locked.requirement, facts):
            package = canonicalize_name(locked.requirement.name)
            assert package not in found, f"{package} is locked twice"
            found[package] = _version(locked)
    for requirement in _wanted(name):
        if _applies(requirement, facts):
            assert requirement.specifier.contains(found[canonicalize_name(requirement.name)]), str(requirement)


def test_server_brings_every_extra_of_an_install() -> None:
    assert set(EXTRAS["server"]) == PROJECT["optional-dependencies"].keys() - {"dev", "docs", "release"}


def test_station_brings_no_package_that_the_server_lacks() -> None:
    server, station = (
        {(each.requirement.name, _version(each)) for each in read_lock(name)} for name in ("server", "station")
    )
    assert station < server


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("click==8.5.1", "no SHA-256"),
        ("click==8.5.1 --hash=md5:00000000000000000000000000000000", "no SHA-256"),
        (f"click==8.5.1 --hash=sha256:{'0' * 64} --hash=sha1:00", "no SHA-256"),
    ],
)
def test_lock_with_a_package_that_cannot_be_checked_is_refused(
    line: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "server.txt").write_text(f"{line}\n")
    monkeypatch.setattr(locks, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match=why):
        list(read_lock("server"))
