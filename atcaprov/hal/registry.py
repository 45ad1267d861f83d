"""Open a way to a chip by its URL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from atcaprov.errors import UsageError
from atcaprov.hal.base import Hal


def open_hal(url: str) -> Hal:
    """Open the chip that `url` names, such as `emulator:` or `emulator:chip.json`.

    Raises:
        UsageError: the URL is of no known kind.
        TransportError: nothing answers there.
    """
    scheme, separator, rest = url.partition(":")
    opener = _OPENERS.get(scheme)
    if not separator or opener is None:
        known = ", ".join(f"{name}:" for name in _OPENERS)
        raise UsageError(f"'{url}' is not a device URL.", advice=f"It begins with one of: {known}")
    return opener(rest)


def _open_emulated(rest: str) -> Hal:
    from atcaprov.hal.emulated import open_emulated

    return open_emulated(rest)


_OPENERS: Final[dict[str, Callable[[str], Hal]]] = {"emulator": _open_emulated}
