"""`atcaprov config map`: from files, from chips, into files and to standard output."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from xml.etree import ElementTree

import pytest

from atcaprov import Code, Device
from atcaprov.cli.main import atcaprov
from atcaprov.config_zone.hex_file import format_hex
from atcaprov.emulator.images import load_image
from atcaprov.emulator.random_source import SeededRandom
from atcaprov.emulator.state_file import chip_file
from tests.support.config_zones import changed, published
from tests.support.programs import Ended, run_in_process

pytestmark = pytest.mark.slow

CONFIGS = Path(__file__).parents[2] / "configs"
DEFAULT = CONFIGS / "atecc608a-default.toml"


def draw(*arguments: str | Path) -> Ended:
    return run_in_process(atcaprov, "config", "map", *(str(argument) for argument in arguments))


def description(text: str) -> str:
    root = ElementTree.fromstring(text)
    return root.findtext("{http://www.w3.org/2000/svg}desc") or ""


def test_a_file_with_purposes_is_drawn_to_standard_output() -> None:
    ended = draw(DEFAULT, "--svg", "-")
    assert ended.code == 0
    assert "Attestation key: signs only what the chip itself says" in description(ended.out)
    assert ElementTree.fromstring(ended.out).findtext("{http://www.w3.org/2000/svg}title") == (
        "Map of the chip: Default ATECC608 product configuration"
    )


def test_without_a_file_the_default_is_drawn() -> None:
    assert "Slot 0, 36 bytes: P-256 private key" in description(draw("--svg", "-").out)


def test_both_drawings_are_written_and_replaced(tmp_path: Path) -> None:
    svg, html = tmp_path / "map.svg", tmp_path / "map.html"
    for _ in range(2):
        ended = draw(DEFAULT, "--svg", svg, "--html", html)
        assert (ended.code, ended.out) == (0, "")
        assert ended.err == f"Map written to {svg} and {html}.\n"
    assert html.read_text().startswith("<!doctype html>")
    assert description(svg.read_text())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_gets_the_drawing_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor() as pool:
        read = pool.submit(pipe.read_bytes)
        run_in_process(atcaprov, "config", "map", "--svg", str(pipe))
        assert read.result().endswith(b"</svg>\n")
    assert pipe.is_fifo()


def test_a_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    file, link = tmp_path / "file.svg", tmp_path / "link.svg"
    file.write_text("old")
    link.symlink_to(file)
    run_in_process(atcaprov, "config", "map", "--svg", str(link))
    assert link.is_symlink()
    assert "</svg>" in file.read_text()


def test_differences_name_the_other_file(tmp_path: Path) -> None:
    other = tmp_path / "moved.hex"
    other.write_text(format_hex(changed((16, "6A"))))
    assert "&#8800; differs from moved.hex" in draw(DEFAULT, "--against", other, "--html", "-").out


def test_a_508a_is_drawn_as_one(tmp_path: Path) -> None:
    table = tmp_path / "kit.hex"
    table.write_text(format_hex(published("atmel8970-508a")))
    assert "OTP read-only" in draw(table, "--part", "ATECC508A", "--html", "-").out


def test_a_chip_is_drawn_with_its_locks_and_contents_and_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "chip.json"
    path.write_bytes(chip_file(load_image("tngtls").make(SeededRandom(b"map"))))
    before = path.read_bytes()
    with Device.open(f"emulator:{path}") as device:
        serial = device.serial_number().hex().upper()
    ended = draw("--device", f"emulator:{path}", "--against", DEFAULT, "--html", "-")
    assert ended.code == 0, ended.err
    assert f"<h1>Chip {serial}</h1>" in ended.out
    assert "Configuration zone locked. Data zone locked." in ended.out
    assert "Holds a private key, key id " in ended.out
    assert "Holds a compressed certificate, signer id " in ended.out
    assert path.read_bytes() == before


def test_a_chip_file_that_is_missing_is_not_created(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    ended = draw("--device", f"emulator:{path}", "--svg", "-")
    assert ended.code == 0
    assert "Nothing is locked" in description(ended.out)
    assert not path.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "No file to write was named"),
        ((DEFAULT, "--device", "emulator:", "--svg", "-"), "FILE and --device were both given"),
        (("--svg", "-", "--html", "-"), "cannot both go to standard output"),
    ],
)
def test_options_that_contradict_are_refused(arguments: tuple[str | Path, ...], message: str) -> None:
    ended = draw(*arguments)
    assert ended.code == 2
    assert message in ended.err


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    ended = draw("--svg", tmp_path / "none" / "map.svg")
    assert ended.code == 2
    assert Code.FILE_UNWRITABLE in ended.err
    assert str(tmp_path / "none" / "map.svg") in ended.err
