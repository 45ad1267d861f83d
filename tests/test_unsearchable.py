"""What the system does not let us look at is told, or tried to open; it never counts as absent.

Python 3.14 takes each error of `stat` for an absence where a path is asked whether it exists; `glob` always did.
Root may look everywhere: here `stat` and `listdir` fail as they do for other users.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from atcaprov import Code, UsageError
from atcaprov.bounded_reading import is_file, is_folder, may_be_there, paths_in, status
from atcaprov.hal.hotplug import is_plugged
from atcaprov.hal.usb import usb_ids
from provisioning_server.lifecycle.signer_sources import ModuleFolder, NamedModules
from provisioning_server.passwords.given_passwords import GivenPasswords
from provisioning_server.records.data_folder import DataFolder
from provisioning_server.settings import Settings
from provisioning_server.signers.module_pins import ModulePins
from provisioning_server.stored_records import guide_files_writer, open_or_import
from signer_module.on_files.folder_files import refuse_existing
from signer_module.on_files.info import show
from signer_module.on_files.root_folder import MODULE_FILE, RootFolder
from tests.support.in_memory_signer import NOW
from tests.support.ledgers import ledger_in
from tests.support.server_parts import RememberingLog
from tests.support.signer_folders import make_signer_folder

Hide = Callable[[Path], None]


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Hide:
    """Let the system refuse to look at a path, and at what is in it."""
    return partial(_refuse, monkeypatch, ("stat", "lstat", "listdir", "scandir", "open"))


@pytest.fixture
def hide_names(monkeypatch: pytest.MonkeyPatch) -> Hide:
    """Let the system refuse to list a folder, as one of mode 0300."""
    return partial(_refuse, monkeypatch, ("listdir", "scandir"))


def _refuse(monkeypatch: pytest.MonkeyPatch, calls: Iterable[str], hidden: Path) -> None:
    for name in calls:
        monkeypatch.setattr(os, name, _refusing(getattr(os, name), str(hidden)))


def _refusing(real: Callable[..., Any], hidden: str) -> Callable[..., Any]:
    def ask(path: Any = ".", *arguments: Any, **options: Any) -> Any:
        asked = "" if isinstance(path, int) else str(path)
        if asked == hidden or asked.startswith(hidden + os.sep):
            raise PermissionError(13, "Permission denied", asked)
        return real(path, *arguments, **options)

    return ask


def asked(ask: Callable[[Path], object], path: Path) -> str:
    with pytest.raises(UsageError) as caught:
        ask(path)
    return f"{caught.value.code}: {caught.value.what}"


@pytest.mark.parametrize("ask", [status, is_file, is_folder, lambda path: paths_in(path, "*")])
def test_an_error_is_not_taken_for_an_absence(hide: Hide, ask: Callable[[Path], object], tmp_path: Path) -> None:
    assert not ask(tmp_path / "nothing")
    assert not ask(tmp_path / "nothing" / "below")
    hide(tmp_path / "hidden")
    for path in (tmp_path / "hidden", tmp_path / "hidden" / "below"):
        assert asked(ask, path) == f"file-unreadable: {path} cannot be read: Permission denied."
        assert may_be_there(path)
    assert not may_be_there(tmp_path / "nothing")


def test_a_name_that_no_file_can_have_is_reported(tmp_path: Path) -> None:
    assert "cannot be read" in asked(status, tmp_path / ("x" * 300))
    assert "cannot be read" in asked(status, tmp_path / "a\0b")


def test_files_and_folders_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "b.json").touch()
    (tmp_path / "a.json").touch()
    assert (is_file(tmp_path), is_folder(tmp_path), is_file(tmp_path / "b.json")) == (False, True, True)
    assert paths_in(tmp_path, "*.json") == [tmp_path / "a.json", tmp_path / "b.json"]
    assert paths_in(tmp_path, "*.tsv") == []
    assert paths_in(tmp_path / "a.json", "*") == []


def test_a_credential_is_not_passed_over(hide: Hide, tmp_path: Path) -> None:
    hide(tmp_path)
    given = GivenPasswords(folder=tmp_path)
    assert asked(lambda _: given.unnamed(), tmp_path).startswith("file-unreadable")
    assert asked(lambda _: given.named(bytes(9), "name"), tmp_path).startswith("file-unreadable")


def test_the_chain_above_a_signer_is_not_passed_over(hide: Hide, tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    hide(signer.path / "chain.pem")
    assert asked(lambda _: signer.chain_paths, tmp_path).startswith("file-unreadable")


def test_a_folder_of_modules_is_not_taken_for_an_empty_one(hide: Hide, tmp_path: Path) -> None:
    (tmp_path / "chip.json").touch()
    hide(tmp_path / "chip.json")
    assert ModuleFolder(tmp_path).present() == [f"emulator:{tmp_path / 'chip.json'}"]
    assert NamedModules([f"emulator:{tmp_path / 'chip.json'}"]).present() == [f"emulator:{tmp_path / 'chip.json'}"]
    hide(tmp_path)
    assert asked(lambda _: ModuleFolder(tmp_path).present(), tmp_path).startswith("file-unreadable")
    settings = lambda path: Settings((), tmp_path / "data", module_folder=path)  # noqa: E731
    assert "cannot be read" in asked(settings, tmp_path)


def test_older_records_are_not_passed_over(hide_names: Hide, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path, NOW)
    hide_names(folder.logs)
    assert asked(lambda _: open_or_import(folder, NOW, RememberingLog()), tmp_path).startswith("file-unreadable")


def test_earlier_files_are_not_passed_over(hide_names: Hide, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path, NOW)
    hide_names(folder.logs)
    with contextlib.closing(ledger_in(tmp_path)) as ledger:
        found = asked(lambda _: guide_files_writer(folder, ledger, RememberingLog()), tmp_path)
    assert found.startswith("file-unreadable")


def test_an_earlier_log_is_not_passed_over(hide_names: Hide, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path, NOW)
    hide_names(tmp_path / "logs")
    assert asked(lambda _: folder.signing_log(), tmp_path).startswith("file-unreadable")


def test_what_is_remembered_of_a_module_is_not_overwritten(hide: Hide, tmp_path: Path) -> None:
    class Facts:
        serial = bytes(9)

    hide(tmp_path / "modules")
    known = ModulePins(tmp_path / "modules")
    assert asked(lambda _: known.remember(Facts()), tmp_path).startswith("file-unreadable")  # type: ignore[arg-type]


def test_a_folder_is_not_taken_for_free(hide: Hide, tmp_path: Path) -> None:
    hide(tmp_path / "hidden")
    with pytest.raises(UsageError) as caught:
        refuse_existing(tmp_path / "hidden" / "root")
    assert caught.value.code in (Code.FILE_UNREADABLE, Code.FILE_UNWRITABLE)


def test_the_kind_of_a_folder_is_not_guessed(hide: Hide, tmp_path: Path) -> None:
    signer = make_signer_folder(tmp_path)
    hide(tmp_path / "root" / MODULE_FILE)
    assert asked(RootFolder.load, tmp_path / "root").startswith("file-unreadable")
    hide(signer.path)
    assert asked(lambda path: show(path, as_json=True, now=NOW), signer.path).startswith("file-unreadable")


def test_a_table_of_usb_ids_is_not_passed_over(hide: Hide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATCAPROV_USB_IDS", raising=False)
    monkeypatch.setattr("platformdirs.user_config_path", lambda _name: tmp_path)
    usb_ids()
    hide(tmp_path)
    assert asked(lambda _: usb_ids(), tmp_path).startswith("file-unreadable")


@pytest.mark.parametrize("url", ["i2c://1/0x60", "kit-hid:///dev/hidraw3", "kit-cdc:///dev/ttyACM0"])
def test_a_board_that_may_not_be_looked_at_is_not_away(hide: Hide, url: str) -> None:
    for path in _device_files(url):
        hide(path)
    assert is_plugged(url)


def _device_files(url: str) -> Iterable[Path]:
    return [Path("/dev/i2c-1") if url.startswith("i2c") else Path(url.partition("://")[2])]
