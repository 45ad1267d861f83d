"""Open a way to a chip by its URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from atcaprov.errors import UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.device_url import require_nameable


def open_hal(url: str) -> Hal:
    """Open the chip that `url` names, such as `emulator:`, `kit-hid://`, `kit-cdc:///dev/ttyACM0` or `i2c://1/0x60`.

    Raises:
        UsageError: the URL is of no known kind.
        TransportError: nothing answers there.
    """
    require_device_url(url)
    scheme, _, rest = url.partition(":")
    return _OPENERS[scheme](rest)


def require_device_url(url: str) -> None:
    """Raise UsageError when a URL is of no known kind, or can name nothing; nothing is opened."""
    scheme, separator, _ = require_nameable(url).partition(":")
    if not separator or scheme not in _OPENERS:
        known = ", ".join(f"{name}:" for name in _OPENERS)
        raise UsageError(f"'{url}' is not a device URL.", advice=f"It begins with one of: {known}")


def _open_emulated(rest: str) -> Hal:
    from atcaprov.hal.emulated import open_emulated

    return open_emulated(rest)


def _open_kit_hid(rest: str) -> Hal:
    from atcaprov.hal.kit_hid import open_kit_hid

    return open_kit_hid(rest)


def _open_kit_cdc(rest: str) -> Hal:
    from atcaprov.hal.kit_cdc import open_kit_cdc

    return open_kit_cdc(rest)


def _open_i2c(rest: str) -> Hal:
    from atcaprov.hal.i2c_dev import open_i2c

    return open_i2c(rest)


def _open_tcp(rest: str) -> Hal:
    from atcaprov.hal.tcp import open_tcp

    return open_tcp(rest)


_OPENERS: Final[dict[str, Callable[[str], Hal]]] = {
    "emulator": _open_emulated,
    "kit-hid": _open_kit_hid,
    "kit-cdc": _open_kit_cdc,
    "i2c": _open_i2c,
    "tcp": _open_tcp,
}
