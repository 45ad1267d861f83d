"""Open a way to a chip by its URL."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, NamedTuple

from atcaprov.errors import AtcaProvError, UsageError
from atcaprov.hal.base import Hal
from atcaprov.hal.device_url import naming, require_nameable

_LOG: Final = logging.getLogger(__name__)


class _Kind(NamedTuple):
    """What belongs to a scheme; both get what stands behind `scheme:`."""

    parse: Callable[[str], object]
    """Raises UsageError for another form."""
    open: Callable[[str], Hal]


def open_hal(url: str) -> Hal:
    """Open the chip that `url` names, such as `emulator:`, `kit-hid://`, `kit-cdc:///dev/ttyACM0` or `i2c://1/0x60`.

    Raises:
        UsageError: the URL is of no known form.
        TransportError: nothing answers there.
    """
    kind, rest = _parsed(url)
    try:
        hal = kind.open(rest)
    except AtcaProvError as error:
        _LOG.debug("%s: cannot be opened: %s", url, error.code)
        raise
    _LOG.debug("%s: opened.", url)
    return _logged(hal) if _LOG.isEnabledFor(logging.DEBUG) else hal


def _logged(hal: Hal) -> Hal:
    from atcaprov.hal.tracing.logged_hal import LoggedHal

    return LoggedHal(hal, _LOG)


def require_device_url(url: str) -> None:
    """Raise UsageError when a URL is of no known form or can name nothing; nothing is opened."""
    _parsed(url)


def _parsed(url: str) -> tuple[_Kind, str]:
    """Return the kind of a URL whose form is right, and what stands behind its scheme; what is wrong names the URL."""
    kind, rest = _kind_of(require_nameable(url))
    with naming(url):
        kind.parse(rest)
    return kind, rest


def _kind_of(url: str) -> tuple[_Kind, str]:
    scheme, separator, rest = url.partition(":")
    if not separator or scheme not in _KINDS:
        known = ", ".join(f"{name}:" for name in _KINDS)
        raise UsageError(f"'{url}' is not a device URL.", advice=f"It begins with one of: {known}")
    return _KINDS[scheme](), rest


# Each kind is imported when it is asked for: some need a package that is not everywhere.


def _emulated() -> _Kind:
    from atcaprov.hal.emulated import open_emulated, parse_emulated

    return _Kind(parse_emulated, open_emulated)


def _kit_hid() -> _Kind:
    from atcaprov.hal.kit.hid import open_kit_hid, parse_kit_hid

    return _Kind(parse_kit_hid, open_kit_hid)


def _kit_cdc() -> _Kind:
    from atcaprov.hal.kit.cdc import open_kit_cdc, parse_kit_cdc

    return _Kind(parse_kit_cdc, open_kit_cdc)


def _i2c() -> _Kind:
    from atcaprov.hal.i2c.scan import open_i2c, parse_bus_and_address

    return _Kind(parse_bus_and_address, open_i2c)


def _tcp() -> _Kind:
    from atcaprov.hal.tcp import open_tcp, parse_tcp

    return _Kind(parse_tcp, open_tcp)


_KINDS: Final[dict[str, Callable[[], _Kind]]] = {
    "emulator": _emulated,
    "kit-hid": _kit_hid,
    "kit-cdc": _kit_cdc,
    "i2c": _i2c,
    "tcp": _tcp,
}
