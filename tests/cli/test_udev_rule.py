from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from atcaprov.cli.main import atcaprov
from atcaprov.hal import udev_rule
from tests.support.programs import Ended, run_in_process

ROOT = Path(__file__).parents[2]
PLACE = "etc/udev/rules.d/60-atcaprov.rules"
SHIPPED = (ROOT / "configs" / "60-atcaprov.rules").read_text(encoding="utf-8")


def install(root: Path, *words: str) -> Ended:
    return run_in_process(atcaprov, "udev-rule", "--install", "--root", str(root), *words)


def test_rule_is_printed_and_nothing_is_written() -> None:
    done = run_in_process(atcaprov, "udev-rule")
    assert (done.code, done.out, done.err) == (0, SHIPPED, "")


def test_rule_is_installed_once_with_rights_for_readers(tmp_path: Path) -> None:
    first, second = install(tmp_path), install(tmp_path)
    rule = tmp_path / PLACE
    assert (first.code, second.code) == (0, 0)
    assert "is written" in first.out
    assert "is there already" in second.out
    assert rule.read_text(encoding="utf-8") == SHIPPED
    assert sys.platform == "win32" or rule.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in rule.parent.iterdir()] == ["60-atcaprov.rules"]


def test_changed_rule_is_replaced_only_as_the_advice_says(tmp_path: Path) -> None:
    install(tmp_path)
    rule = tmp_path / PLACE
    rule.write_text("# ours\n")
    refused = install(tmp_path)
    assert (refused.code, rule.read_text()) == (2, "# ours\n")
    assert "[file-unwritable]" in refused.err
    (words,) = re.findall(r"run 'atcaprov udev-rule --install ([^']*)'", refused.err)
    assert words == "--force"
    assert run_in_process(atcaprov, "udev-rule").out == SHIPPED
    assert install(tmp_path, *words.split()).code == 0
    assert rule.read_text(encoding="utf-8") == SHIPPED


def test_without_root_the_sudo_line_is_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_settings: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("atcaprov.durable_files.replace", refuse)
    for words in ((), ("--force",)):
        done = install(tmp_path, *words)
        assert (done.code, "Only root may write" in done.err) == (2, True)
        (line,) = re.findall(r"Run: (.*)", done.err)
        sudo, python, *rest = shlex.split(line)
        assert (sudo, python) == ("sudo", sys.executable)
        assert rest == ["-m", "atcaprov", "udev-rule", "--install", *words]


def test_other_failure_to_write_is_reported(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file where a folder belongs")
    done = install(tmp_path)
    assert (done.code, "cannot be written" in done.err) == (2, True)


@pytest.mark.parametrize("words", [("--force",), ("--root", ".")])
def test_options_of_the_installation_need_it(words: tuple[str, ...]) -> None:
    done = run_in_process(atcaprov, "udev-rule", *words)
    assert (done.code, done.out) == (2, "")
    assert "Add --install" in done.err


@pytest.mark.skipif(sys.platform == "win32", reason="the fake udevadm is a shell script")
@pytest.mark.parametrize(("code", "is_loaded"), [(0, True), (1, False)])
def test_udev_is_told_to_read_the_rule(
    code: int, is_loaded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "udevadm"
    program.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\nexit {code}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert udev_rule.reload_rules() is is_loaded
    assert (tmp_path / "words").read_text() == "control --reload\n"


def test_system_without_udev_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(udev_rule, "_ADMIN_PATH", str(tmp_path))
    assert udev_rule.reload_rules() is False


@pytest.mark.parametrize(("is_loaded", "next_step"), [(True, "Reconnect the boards"), (False, "udev was not notified")])
def test_next_step_after_an_installation_is_told(
    is_loaded: bool, next_step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atcaprov.cli.udev_rule.install_rule", lambda root, *, force: True)
    monkeypatch.setattr("atcaprov.cli.udev_rule.reload_rules", lambda: is_loaded)
    done = run_in_process(atcaprov, "udev-rule", "--install")
    assert (done.code, next_step in done.out) == (0, True)


def test_wheel_has_the_rule_where_it_is_looked_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    place = Path(udev_rule.__file__).with_name(udev_rule.RULE_NAME)
    assert included["configs/60-atcaprov.rules"] == place.relative_to(ROOT).as_posix()
