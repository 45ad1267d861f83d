"""Open a chip by its device URL, whose scheme names the HAL: the built-in ones, and those of other packages.

A HAL from outside joins by a call of `register_hal`, or by an entry point of its package in the group `atcaprov.hal`:
its name is the scheme, its object the function that opens a chip. `docs/howto/write-your-own-hal.md` shows both.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from atcaprov.errors import AtcaProvError, Code, TransportError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.device_url import naming, require_nameable

_LOG: Final = logging.getLogger(__name__)
ENTRY_POINT_GROUP: Final = "atcaprov.hal"
"""Entry points of this group name HALs of other packages; they are loaded when a URL has their scheme."""
_SCHEME_NAME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
"""Schemes of URLs (RFC 3986, section 3.1), in lower case."""

OpenHal = Callable[[str], Hal]
"""Opens the chip that a URL names; gets what follows `scheme:`."""


class _Scheme(NamedTuple):
    """What belongs to a scheme; both functions get what follows `scheme:`."""

    check: Callable[[str], object]
    """Raises UsageError for another form; opens nothing."""
    open: OpenHal
    open_read_only: OpenHal | None = None
    """For schemes whose `open` itself changes something, such as the file of a software chip."""


def open_hal(url: str) -> Hal:
    """Open the chip that `url` names, such as `emulator:`, `kit-hid://`, `kit-cdc:///dev/ttyACM0` or `i2c://1/0x60`.

    Raises:
        UsageError: the URL has an unknown form.
        TransportError: no chip answers there, or a package that the HAL needs cannot be loaded (LIBRARY_MISSING).
    """
    scheme, rest = _checked(url)
    return _opened(url, scheme.open, rest)


def open_hal_read_only(url: str) -> Hal:
    """Open the chip that `url` names without a change to what keeps it: a software chip's file stays as it is.

    It does not block any packet: see `atcaprov.device.read_only`. Raises as `open_hal`.
    """
    scheme, rest = _checked(url)
    return _opened(url, scheme.open_read_only or scheme.open, rest)


def _opened(url: str, open_chip: OpenHal, rest: str) -> Hal:
    try:
        hal = open_chip(rest)
    except AtcaProvError as error:
        _LOG.debug("%s: cannot be opened: %s", url, error.code)
        raise
    _LOG.debug("%s: opened.", url)
    return _logged(hal) if _LOG.isEnabledFor(logging.DEBUG) else hal


def _logged(hal: Hal) -> Hal:
    from atcaprov.hal.tracing.logged_hal import LoggedHal

    return LoggedHal(hal, _LOG)


def require_device_url(url: str) -> None:
    """Raise UsageError when a URL has an unknown form or cannot name a chip; nothing is opened."""
    _checked(url)


def register_hal(scheme: str, open_chip: OpenHal, *, check: Callable[[str], object] | None = None) -> None:
    """Let device URLs that begin with `scheme:` open chips through a HAL of your own.

    `open_chip` gets what follows `scheme:` in the URL, such as `//bench-3/0`, and returns a `Hal`. `check` gets
    the same and raises UsageError for a form that it does not know, without opening anything; without it every form
    counts as right until the chip is opened. To register a scheme again replaces its HAL.

    Raises:
        UsageError: the scheme is built in, or is not a lower-case word of letters, digits, `+`, `.` and `-`.
    """
    if scheme in _BUILT_IN:
        raise UsageError(f"The URL scheme '{scheme}' is built in.", advice="Choose another scheme for your HAL.")
    if not _SCHEME_NAME.fullmatch(scheme):
        raise UsageError(
            f"'{scheme}' is not a URL scheme.",
            advice="Use lower-case letters, digits, '+', '.' and '-', such as 'spi'.",
        )
    _registered[scheme] = _Scheme(check or _any_form, open_chip)


def _checked(url: str) -> tuple[_Scheme, str]:
    """Return the scheme of a URL whose form is right, and what follows it; an error names the URL."""
    scheme, rest = _scheme_of(require_nameable(url))
    with naming(url):
        scheme.check(rest)
    return scheme, rest


def _scheme_of(url: str) -> tuple[_Scheme, str]:
    name, separator, rest = url.partition(":")
    scheme = _find(name) if separator else None
    if scheme is None:
        known = ", ".join(f"{known}:" for known in (*_BUILT_IN, *sorted(_registered)))
        raise UsageError(f"'{url}' is not a device URL.", advice=f"It begins with one of: {known}")
    return scheme, rest


def _find(name: str) -> _Scheme | None:
    """Return a scheme by its name: built in, registered, or of an installed package; None for an unknown one."""
    if name in _BUILT_IN:
        return _BUILT_IN[name]()
    if name not in _registered:
        _register_installed(name)
    return _registered.get(name)


def _register_installed(name: str) -> None:
    """Register the HAL that an installed package offers for a scheme, if there is one."""
    from importlib.metadata import entry_points  # takes 20 ms, which only a foreign scheme is worth

    for found in entry_points(group=ENTRY_POINT_GROUP, name=name):
        try:
            register_hal(name, found.load())
        except (ImportError, AttributeError) as error:
            raise TransportError(
                f"The HAL for '{name}:' of the package {found.dist.name if found.dist else found.value}"
                f" cannot be loaded: {error}.",
                advice="Install the package again with what it needs.",
                code=Code.LIBRARY_MISSING,
            ) from error
        return


def _any_form(_rest: str) -> None:
    """Accept every form."""


# Built-in HALs are imported when one is asked for: some need a package that is not installed everywhere.


def _emulated() -> _Scheme:
    from atcaprov.hal.emulated import open_emulated, open_emulated_read_only, parse_emulated

    return _Scheme(parse_emulated, open_emulated, open_emulated_read_only)


def _kit_hid() -> _Scheme:
    from atcaprov.hal.kit.hid import open_kit_hid, parse_kit_hid

    return _Scheme(parse_kit_hid, open_kit_hid)


def _kit_cdc() -> _Scheme:
    from atcaprov.hal.kit.cdc import open_kit_cdc, parse_kit_cdc

    return _Scheme(parse_kit_cdc, open_kit_cdc)


def _i2c() -> _Scheme:
    from atcaprov.hal.i2c.hal import open_i2c, parse_bus_and_address

    return _Scheme(parse_bus_and_address, open_i2c)


def _tcp() -> _Scheme:
    from atcaprov.hal.tcp import open_tcp, parse_tcp

    return _Scheme(parse_tcp, open_tcp)


_BUILT_IN: Final[dict[str, Callable[[], _Scheme]]] = {
    "emulator": _emulated,
    "kit-hid": _kit_hid,
    "kit-cdc": _kit_cdc,
    "i2c": _i2c,
    "tcp": _tcp,
}
_registered: dict[str, _Scheme] = {}
