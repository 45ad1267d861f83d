from __future__ import annotations

import re
from pathlib import Path

import pytest

from atcaprov import Code, UsageError
from atcaprov.hal.usb import ENVIRONMENT, KitKind, parse_usb_ids, usb_ids

ROOT = Path(__file__).parents[2]
OWN = '[[kit]]\nvendor = 0x1209\nproduct = 1\nport = "cdc"\nname = "Our own"\n'


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    return tmp_path


def test_the_table_of_the_package_is_in_the_page_and_in_the_rules() -> None:
    page = (ROOT / "docs" / "reference" / "devices.md").read_text()
    rules = (ROOT / "configs" / "60-atcaprov.rules").read_text()
    assert len(usb_ids()) == 7
    for vendor, product in usb_ids():
        if (vendor, product) not in {(0x04D8, 0x0F31), (0x04D8, 0x0F32)}:  # inside a range on the page
            assert f"{vendor:04X}:{product:04X}" in page
        patterns = re.findall(r'idVendor}=="(\w+)", ATTRS?{idProduct}=="([^"]+)"', rules)
        assert any(v == f"{vendor:04x}" and re.fullmatch(p, f"{product:04x}") for v, p in patterns)


def test_own_ids_come_from_the_users_folder(home: Path) -> None:
    (home / "atcaprov").mkdir()
    (home / "atcaprov" / "usb-ids.toml").write_text(OWN)
    assert usb_ids()[(0x1209, 1)] == KitKind("cdc", "Our own")
    assert (0x03EB, 0x2312) in usb_ids()


def test_own_ids_come_from_the_file_that_the_environment_names(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "ids.toml").write_text(OWN.replace("0x1209", "0x03EB").replace("= 1", "= 0x2312"))
    monkeypatch.setenv(ENVIRONMENT, str(home / "ids.toml"))
    assert usb_ids()[(0x03EB, 0x2312)] == KitKind("cdc", "Our own")
    monkeypatch.setenv(ENVIRONMENT, str(home / "missing.toml"))
    with pytest.raises(UsageError) as refused:
        usb_ids()
    assert refused.value.code == Code.FILE_UNREADABLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kit = 1",
        "kit = [1]",
        "[[kit]]",
        "[[kit]\n",
        OWN + "x = 1",
        OWN + "[other]\n",
        OWN.replace("0x1209", "0x10000"),
        OWN.replace("0x1209", "true"),
        OWN.replace("cdc", "spi"),
        OWN.replace('"Our own"', "1"),
    ],
)
def test_invalid_table_is_refused_with_its_file(text: str) -> None:
    with pytest.raises(UsageError, match=r"own\.toml") as refused:
        parse_usb_ids(text, "own.toml")
    assert refused.value.code == Code.FILE_INVALID
