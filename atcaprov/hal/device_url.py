"""The parts of a device URL: `scheme://target?option=value&…`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

from atcaprov.errors import UsageError

HIGHEST_ADDRESS: Final = 0x7F


@dataclass(frozen=True)
class Target:
    """What stands behind the scheme."""

    name: str
    """A path, USB port path, serial number, host and port, or bus and address; empty: the only one there is."""
    options: Mapping[str, str]


def parse_target(scheme: str, rest: str, *, options: Collection[str] = ()) -> Target:
    """Take apart what stands behind `scheme:`; two slashes in front of the target belong to the URL, not to it.

    In the target, `%` and two hex digits stand for a character that has a meaning in URLs, such as `%3F` for `?`.

    Raises:
        UsageError: an option has no value, comes twice or is not one of `options`.
    """
    name, _, query = rest.removeprefix("//").partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise UsageError(f"'{scheme}:{rest}' has an option without a value.") from error
    given = dict(pairs)
    unknown = sorted(set(given) - set(options))
    if unknown or len(given) != len(pairs):
        known = ", ".join(sorted(options)) or "none"
        which = f"no option '{unknown[0]}'" if unknown else "each option once"
        raise UsageError(f"A {scheme} URL takes {which}: '{scheme}:{rest}'.", advice=f"Options: {known}.")
    return Target(unquote(name), given)


def parse_8_bit_address(text: str) -> int:
    """Return an address in the 8-bit form of kits and of the configuration zone, such as 0xC0.

    Raises:
        UsageError: it is no number, or no even one below 100 (hex).
    """
    address = _number(text)
    if not 0 < address <= 2 * HIGHEST_ADDRESS or address % 2:
        raise UsageError(
            f"{text} is not an 8-bit address.", advice="It is even, such as 0xC0, which is 0x60 in the 7-bit form."
        )
    return address


def parse_7_bit_address(text: str) -> int:
    """Return an address in the 7-bit form of Linux, such as 0x60.

    Raises:
        UsageError: it is no number from 0x01 to 0x7F.
    """
    address = _number(text)
    if not 0 < address <= HIGHEST_ADDRESS:
        raise UsageError(
            f"{text} is not a 7-bit address.", advice="It is below 0x80: 0x60, which is 0xC0 in the 8-bit form."
        )
    return address


def both_forms(address: int) -> str:
    """Return an 8-bit address as it is shown everywhere: `0xC0 (7-bit 0x60)`."""
    return f"0x{address:02X} (7-bit 0x{address >> 1:02X})"


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise UsageError(f"'{text}' is not an address.", advice="Write it as 0xC0.") from None
