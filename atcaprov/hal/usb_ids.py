"""Which USB devices are kits: the table that comes with the package, and the user's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import platformdirs

from atcaprov.errors import Code, UsageError
from atcaprov.reading import MalformedError, parse_toml, read_text, status

ENVIRONMENT: Final = "ATCAPROV_USB_IDS"
"""Names a file of more USB ids; without it, `usb-ids.toml` in the user's configuration folder is read if it exists."""
HID: Final = "hid"
CDC: Final = "cdc"
_HIGHEST: Final = 0xFFFF

UsbIds = Mapping[tuple[int, int], "KitKind"]


@dataclass(frozen=True)
class KitKind:
    """What a pair of USB ids stands for."""

    port: str
    """`hid` or `cdc`."""
    name: str


def usb_ids() -> UsbIds:
    """Return the table, kit kinds by vendor and product id.

    Raises:
        UsageError: the user's file can't be read or has another form.
    """
    own = os.environ.get(ENVIRONMENT)
    path = Path(own) if own else platformdirs.user_config_path("atcaprov") / "usb-ids.toml"
    table = parse_usb_ids(Path(__file__).with_name("usb_ids.toml").read_text(encoding="utf-8"), "usb_ids.toml")
    if own or status(path) is not None:
        table |= parse_usb_ids(read_text(path), str(path))
    return table


def parse_usb_ids(text: str, source: str) -> dict[tuple[int, int], KitKind]:
    """Return the table in a TOML text: `[[kit]]` with `vendor`, `product`, `port` (hid or cdc) and `name`.

    Raises:
        UsageError: it has another form (code FILE_INVALID); `source` names it in the message.
    """
    try:
        document = parse_toml(text)
    except MalformedError as error:
        raise _invalid(source, str(error)) from error
    kits = document.get("kit")
    if not isinstance(kits, list) or set(document) != {"kit"}:
        raise _invalid(source, "it holds [[kit]] tables and nothing else")
    return dict(_entry(kit, source) for kit in kits)


def _entry(kit: Any, source: str) -> tuple[tuple[int, int], KitKind]:
    if not isinstance(kit, dict) or set(kit) != {"vendor", "product", "port", "name"}:
        raise _invalid(source, "each [[kit]] has vendor, product, port and name")
    numbers = (kit["vendor"], kit["product"])
    if not all(type(number) is int and 0 <= number <= _HIGHEST for number in numbers):
        raise _invalid(source, "vendor and product are numbers up to 0xFFFF")
    if kit["port"] not in (HID, CDC) or not isinstance(kit["name"], str):
        raise _invalid(source, "port is 'hid' or 'cdc', and name is a text")
    return numbers, KitKind(kit["port"], kit["name"])


def _invalid(source: str, why: str) -> UsageError:
    return UsageError(
        f"{source} is not a table of USB ids: {why}.",
        advice="docs/reference/devices.md shows the form.",
        code=Code.FILE_INVALID,
    )
