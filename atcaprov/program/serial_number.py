"""A serial number on the command line, of a chip or a signer."""

from __future__ import annotations

from typing import Any

import click

from atcaprov.chip.memory_map import SERIAL_SIZE


class SerialNumber(click.ParamType[bytes]):
    """The serial number of a chip: 18 hexadecimal digits."""

    name = "serial number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        """Return it as 9 bytes."""
        if isinstance(value, bytes):
            return value
        try:
            serial = bytes.fromhex(str(value))
        except ValueError:
            serial = b""
        if len(serial) != SERIAL_SIZE:
            self.fail(f"'{value}' is not a serial number such as 01234038D92CA571EE.", param, ctx)
        return serial
