from __future__ import annotations

import pytest

from atcaprov.errors import TransportError, UsageError
from atcaprov.hal.device_url import both_forms, parse_7_bit_address, parse_8_bit_address, parse_target
from atcaprov.hal.registry import open_hal


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
def test_options_that_are_not_known_are_refused(rest: str) -> None:
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
def test_urls_of_another_form_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        open_hal(url)


@pytest.mark.parametrize(
    "url", ["kit-cdc:///dev/no-such-tty", "kit-hid:///dev/no-such-hidraw", "kit-cdc://9-9.9", "i2c://4095/0x60"]
)
def test_what_is_not_there_is_not_found(url: str) -> None:
    with pytest.raises(TransportError) as refused:
        open_hal(url)
    assert refused.value.code == "device-not-found"
    assert refused.value.advice
