"""The parts of a device URL: `scheme://target?option=value&…`."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

from atcaprov.errors import Code, UsageError
from atcaprov.terminal.printable import printable

HIGHEST_ADDRESS: Final = 0x7F
DELIVERED_ADDRESSES: Final = (0x60, 0x35, 0x36, 0x38, 0x59)
"""7-bit addresses of the parts as delivered: plain and TrustCUSTOM, TNGTLS, TFLXTLS, TMNGTLS, TNGLORA."""
LONGEST_URL: Final = 4096
"""Characters, as many as Linux takes for a path."""
_SHOWN: Final = 60
_SHOWN_WHOLE: Final = 300
_HEX_NUMBER: Final = re.compile(r"0[xX][0-9A-Fa-f]{1,4}")
_HEX_DIGITS: Final = re.compile(r"(0[xX])?(?P<digits>[0-9A-Fa-f]{1,4})")
_WINDOWS_PORT: Final = re.compile(r"COM\d{1,3}", re.IGNORECASE)


@dataclass(frozen=True)
class UrlTarget:
    """The part of a device URL that follows the scheme."""

    name: str
    """A path, USB port path, serial number, host and port, or bus and address; empty: the only device."""
    options: Mapping[str, str]


@contextmanager
def naming(url: str) -> Iterator[None]:
    """Make an error about a part of a device URL name the whole URL as typed: a program may have several.

    A URL of more than 300 characters is cut.
    """
    try:
        yield
    except UsageError as error:
        if url in error.what or url in error.advice:
            raise
        shown = printable(url) if len(url) <= _SHOWN_WHOLE else f"{printable(url[:_SHOWN])}..."
        what = f"The device URL '{shown}' cannot be used: {printable(error.what)}"
        raise UsageError(what, advice=error.advice, code=error.code) from error


def parse_target(scheme: str, rest: str, *, options: Collection[str] = ()) -> UrlTarget:
    """Parse what follows `scheme:`. Two slashes in front of the target belong to the URL, not to the target.

    In the target, `%` and two hex digits stand for a character that has a meaning in URLs, such as `%3F` for `?`.

    Raises:
        UsageError: an option has no value, occurs twice or is not one of `options`; or no device can have such a name.
    """
    require_nameable(f"{scheme}:{rest}")
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
    return UrlTarget(require_nameable(unquote(name)), given)


def require_nameable(text: str) -> str:
    """Return a device URL, or a part of it, if it can name a device.

    Raises:
        UsageError: it is too long, or has a character that no file or port name can have.
    """
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:
        encoded = b"\0"
    too_long = len(text) > LONGEST_URL
    if b"\0" in encoded or too_long:
        what = f"is longer than {LONGEST_URL:,} characters" if too_long else "contains an invalid character"
        raise UsageError(f"The device name {text[:_SHOWN]!a} {what}.", advice="Write it like kit-hid://1-2.3.")
    return text


def names_software_chip(url: str) -> bool | None:
    """Tell whether a device URL names a software chip; None for a server, which does not say."""
    scheme = url.partition(":")[0]
    return None if scheme == "tcp" else scheme == "emulator"


def at_address(url: str, address: int) -> str:
    """Return the URL of the chip at an address, 8-bit form, of the board with this URL, which has no address yet."""
    return f"{url}{'&' if '?' in url else '?'}address=0x{address:02X}"


def names_a_file(name: str) -> bool:
    """Tell whether a kit's target is a device file, or what Windows has instead, such as COM3."""
    return name.startswith("/") or (os.name == "nt" and _WINDOWS_PORT.fullmatch(name) is not None)


def device_file(name: str) -> str:
    """Return the real path of a device file, links followed, by which its port is locked; other names unchanged.

    Raises:
        UsageError: no file can have this path.
    """
    if not name.startswith("/"):
        return name
    try:
        path = Path(name).resolve()
        path.stat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # opening reports it
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{name[:_SHOWN]!a} cannot be a device file: {error.args[-1]}.") from error
    return str(path)


def parse_kit_target(scheme: str, rest: str, *, options: Collection[str] = ()) -> tuple[UrlTarget, int | None]:
    """Parse the URL of a kit. Its option `address` chooses a chip, in the 8-bit form; None stands for the only chip.

    Raises:
        UsageError: as `parse_target`, or the address is not an 8-bit address.
    """
    target = parse_target(scheme, rest, options=("address", *options))
    return target, parse_8_bit_address(target.options["address"]) if "address" in target.options else None


def parse_8_bit_address(text: str) -> int:
    """Return an address in the 8-bit form of kits and of the configuration zone, such as 0xC0.

    Raises:
        UsageError: it is not an even hexadecimal number below 0x100 with 0x in front.
    """
    address = _number(text)
    if address is None or not _is_8_bit_address(address):
        example = _meant_address(text, prefer_8_bit=True) or 0xC0
        advice = f"Write it with 0x and even, such as 0x{example:02X}, which is 0x{example >> 1:02X} in the 7-bit form."
        raise UsageError(f"'{text}' is not an 8-bit address.", advice=advice, code=Code.ADDRESS_FORM)
    return address


def parse_7_bit_address(text: str) -> int:
    """Return an address in the 7-bit form of Linux, such as 0x60.

    Raises:
        UsageError: it is not a hexadecimal number from 0x01 to 0x7F with 0x in front.
    """
    address = _number(text)
    if address is None or not 0 < address <= HIGHEST_ADDRESS:
        example = (_meant_address(text, prefer_8_bit=False) or 0xC0) >> 1
        advice = (
            f"Write it with 0x and below 0x80, such as 0x{example:02X}, which is 0x{2 * example:02X} in the 8-bit form."
        )
        raise UsageError(f"'{text}' is not a 7-bit address.", advice=advice, code=Code.ADDRESS_FORM)
    return address


def both_forms(address: int) -> str:
    """Return an 8-bit address as all messages show it: `0xC0 (7-bit 0x60)`."""
    return f"0x{address:02X} (7-bit 0x{address >> 1:02X})"


def _is_8_bit_address(number: int) -> bool:
    return 0 < number <= 2 * HIGHEST_ADDRESS and number % 2 == 0


def _number(text: str) -> int | None:
    """Return a number that is written with 0x; without it, 60 could be decimal or hexadecimal."""
    return int(text, 16) if _HEX_NUMBER.fullmatch(text) else None


def _meant_address(text: str, *, prefer_8_bit: bool) -> int | None:
    """Return the address, 8-bit form, that a wrong one probably means; None if it means none.

    A number that is a delivered part's address in one form, in hexadecimal or in decimal, means that part: 0x35, 53,
    6A and 106 all mean the TNGTLS at 0x6A.
    """
    numbers = _readings(text)
    delivered = {address << 1: address << 1 for address in DELIVERED_ADDRESSES}
    other_form = {address: address << 1 for address in DELIVERED_ADDRESSES}
    for forms in (delivered, other_form) if prefer_8_bit else (other_form, delivered):
        for number in numbers:
            if number in forms:
                return forms[number]
    number = numbers[0] if numbers else 0
    if not prefer_8_bit and number <= HIGHEST_ADDRESS:
        number <<= 1
    return number if _is_8_bit_address(number) else None


def _readings(text: str) -> list[int]:
    """Return what digits may mean: first read as hexadecimal, then, without 0x, as decimal."""
    match = _HEX_DIGITS.fullmatch(text)
    if match is None:
        return []
    decimal = [int(text)] if text.isdecimal() else []
    return [int(match["digits"], 16), *decimal]
