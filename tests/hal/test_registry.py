from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

from atcaprov.device.device import Device
from atcaprov.emulator.chip import Chip
from atcaprov.errors import Code, TransportError, UsageError
from atcaprov.hal import registry
from atcaprov.hal.base import Hal
from atcaprov.hal.emulated import EmulatedHal
from atcaprov.hal.registry import open_hal, register_hal, require_device_url

PACKAGE = """\
from atcaprov.emulator.chip import Chip
from atcaprov.hal.emulated import EmulatedHal

def open_chip(rest):
    return EmulatedHal(Chip(), f"bench:{rest}")
"""


@pytest.fixture(autouse=True)
def no_registered_hals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, entry_points: str, module: str = PACKAGE) -> None:
    """Put a package with these entry points where Python looks for packages."""
    about = folder / "bench_hal-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-hal\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(entry_points)
    (folder / "bench_hal.py").write_text(module)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "bench_hal", raising=False)


def test_registered_hal_opens_its_urls() -> None:
    opened = []

    def open_chip(rest: str) -> Hal:
        opened.append(rest)
        return EmulatedHal(Chip(), f"bench:{rest}")

    register_hal("bench", open_chip)
    with Device.open("bench://3/0?slow=yes") as device:
        assert device.info().hex() == "00006002"
        assert device.url == "bench://3/0?slow=yes"
    assert opened == ["//3/0?slow=yes"]


def test_form_of_url_is_checked_without_opening() -> None:
    def check(rest: str) -> None:
        if not rest.startswith("//"):
            raise UsageError("It names no bench.", advice="Write bench://3.")

    register_hal("bench", lambda rest: pytest.fail("opened"), check=check)
    require_device_url("bench://3")
    with pytest.raises(UsageError, match=r"The device URL 'bench:3' cannot be used: It names no bench\."):
        require_device_url("bench:3")


def test_unknown_scheme_lists_the_known_ones() -> None:
    register_hal("bench", lambda rest: EmulatedHal(Chip(), rest))
    with pytest.raises(UsageError) as caught:
        open_hal("spi://0")
    assert caught.value.advice == "It begins with one of: emulator:, kit-hid:, kit-cdc:, i2c:, tcp:, bench:"


@pytest.mark.parametrize("scheme", ["emulator", "kit-hid", "kit-cdc", "i2c", "tcp"])
def test_built_in_scheme_cannot_be_replaced(scheme: str) -> None:
    with pytest.raises(UsageError, match="is built in"):
        register_hal(scheme, lambda rest: EmulatedHal(Chip(), rest))
    with closing(open_hal("emulator:")) as hal:
        assert hal.url == "emulator:"


@pytest.mark.parametrize("scheme", ["", "Bench", "my bench", "3d", "bench:", "b\u00e4nk"])
def test_scheme_that_no_url_can_have_is_refused(scheme: str) -> None:
    with pytest.raises(UsageError, match="is not a URL scheme"):
        register_hal(scheme, lambda rest: EmulatedHal(Chip(), rest))


def test_installed_package_offers_a_hal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "[atcaprov.hal]\nbench = bench_hal:open_chip\n")
    require_device_url("bench://3")
    with Device.open("bench://3") as device:
        assert device.url == "bench://3"


def test_installed_package_cannot_replace_a_built_in_hal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "[atcaprov.hal]\nemulator = bench_hal:open_chip\n", "raise SystemExit\n")
    with closing(open_hal("emulator:")) as hal:
        assert hal.url == "emulator:"


def test_package_that_cannot_be_loaded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, "[atcaprov.hal]\nbench = bench_hal:open_chip\n", "import a_module_that_is_missing\n")
    with pytest.raises(TransportError, match="of the package bench-hal cannot be loaded") as caught:
        open_hal("bench://3")
    assert caught.value.code == Code.LIBRARY_MISSING
