from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from atcaprov import TransportError, UsageError, open_hal
from atcaprov.hal.device_url import both_forms, parse_7_bit_address, parse_8_bit_address, parse_target
from atcaprov.hal.hotplug import is_plugged
from atcaprov.hal.registry import require_device_url


@pytest.mark.parametrize(
    ("rest", "name", "options"),
    [
        ("", "", {}),
        ("//", "", {}),
        ("///dev/hidraw3", "/dev/hidraw3", {}),
        ("//1-2.3?address=0xC0", "1-2.3", {"address": "0xC0"}),
        ("//?address=0xC0", "", {"address": "0xC0"}),
        ("COM3", "COM3", {}),
        ("//%5C%5C%3F%5Chid%23vid_03eb", "\\\\?\\hid#vid_03eb", {}),
    ],
)
def test_target_and_options(rest: str, name: str, options: dict[str, str]) -> None:
    target = parse_target("kit-hid", rest, options=("address",))
    assert (target.name, target.options) == (name, options)


@pytest.mark.parametrize("rest", ["//x?adress=1", "//x?address", "//x?address=1&address=2", "//x?=1"])
def test_unknown_options_are_refused(rest: str) -> None:
    with pytest.raises(UsageError):
        parse_target("kit-hid", rest, options=("address",))


def test_addresses_have_two_forms() -> None:
    assert parse_8_bit_address("0xC0") == 2 * parse_7_bit_address("0x60") == 0xC0
    assert both_forms(0xC0) == "0xC0 (7-bit 0x60)"
    for text in ("0xC1", "0", "0x100", "x", "-2"):
        with pytest.raises(UsageError):
            parse_8_bit_address(text)
    for text in ("0x80", "0", "sixty", "0xC0"):
        with pytest.raises(UsageError):
            parse_7_bit_address(text)


@pytest.mark.parametrize(
    "url",
    [
        "usb:",
        "kit-hid",
        "kit-hid://?backend=raw",
        "i2c://1",
        "i2c://x/0x60",
        "i2c:///0x60",
        "i2c://1/0xC0",
        "i2c://1/0x60?address=1",
        "tcp://127.0.0.1",
        "tcp://:5000",
        "tcp://127.0.0.1:0",
        "tcp://127.0.0.1:70000",
        "tcp://127.0.0.1:5000?protocol=spi",
    ],
)
def test_invalid_urls_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_hal(url)


WRONG_FOR_A_PORT = [
    "kit-hid:?backend=raw",
    "kit-hid:?adress=0xC0",
    "kit-cdc:?address",
    "i2c://1/sixty",
    "i2c://1/0xC0",
    "i2c://1",
]
WRONG = [
    *WRONG_FOR_A_PORT,
    "usb:",
    "kit-hid:?address=zz",
    "kit-hid://1-2.3?address=0xC1",
    "kit-cdc:///dev/ttyACM0?address=",
    "tcp://127.0.0.1:5000?protocol=spi",
    "tcp://127.0.0.1:5000?address=0x200",
    "tcp://127.0.0.1:70000",
    "emulator:chip.json?image=nosuch",
    "emulator:chip.json?clock=slow",
    "emulator:chip.json?speed=2",
    "emulator:chip.json?faults=no-such-file",
]


@pytest.mark.parametrize(
    ("refuse", "url"),
    [
        *((refuse, url) for refuse in (open_hal, require_device_url) for url in WRONG),
        *((is_plugged, url) for url in WRONG_FOR_A_PORT),
    ],
)
def test_error_names_the_url_as_typed(refuse: Callable[[str], object], url: str) -> None:
    with pytest.raises(UsageError) as refused:
        refuse(url)
    assert str(refused.value).count(f"'{url}'") == 1


def test_url_in_an_error_is_printable() -> None:
    with pytest.raises(UsageError) as refused:
        open_hal("i2c://1/\x1b[2J")
    assert str(refused.value).isprintable()
    with pytest.raises(UsageError) as refused:
        open_hal("i2c://1/" + "9" * 4000)
    assert "i2c://1/99" in str(refused.value)


MANY = "9" * 5000


IMPOSSIBLE = [
    f"i2c://{MANY}/0x60",
    f"i2c://{MANY[:4050]}/0x60",
    "i2c://1/" + "9" * 4050,
    f"tcp://h:{MANY}",
    f"tcp://h:{MANY[:4050]}",
    "tcp://a%00b:50",
    "kit-cdc:///dev/tty%00x",
    "kit-hid:///dev/hid%00x",
    "kit-hid://" + "a" * 5000,
    "kit-cdc:///" + "a" * 5000,
    "kit-cdc:///" + "a" * 300,
    "kit-hid:///" + "a" * 300,
    "kit-hid:///\ud800",
    "tcp://\ud800:5",
    "emulator:\0",
    "emulator:a%00\0b",
    "kit-hid:///LOOP",
    "kit-cdc:///LOOP",
    "emulator:/LOOP",
]


def show(url: str) -> str:
    return ascii(url[:24])


@pytest.mark.parametrize("url", IMPOSSIBLE, ids=show)
def test_impossible_names_cannot_be_opened(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refused:
        open_hal(looped(url, tmp_path))
    assert len(str(refused.value)) < 5000


@pytest.mark.parametrize("url", [url for url in IMPOSSIBLE if url.startswith(("kit", "i2c"))], ids=show)
def test_impossible_names_are_not_waited_for(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        is_plugged(looped(url, tmp_path))


def looped(url: str, folder: Path) -> str:
    (folder / "loop").symlink_to(folder / "loop")
    return url.replace("/LOOP", str(folder / "loop"))


@pytest.mark.parametrize(
    "url",
    [
        "kit-cdc:///dev/no-such-tty",
        "kit-hid:///dev/no-such-hidraw",
        "kit-cdc://9-9.9",
        "kit-cdc://COMPANY1",
        "i2c://4095/0x60",
    ],
)
def test_missing_device_is_not_found(url: str) -> None:
    with pytest.raises(TransportError) as refused:
        open_hal(url)
    assert refused.value.code == "device-not-found"
    assert refused.value.advice
