"""The kinds of device files by which a program reaches a plugged board, and the device URL for each."""

from __future__ import annotations

import enum

from virtual_bench.boards import BoardKind
from virtual_bench.plugboard import Node


class Way(enum.StrEnum):
    """One way through the kernel."""

    HIDRAW = "hidraw"
    LIBUSB = "libusb"
    CDC = "cdc"
    I2C = "i2c"

    @property
    def kind(self) -> BoardKind:
        """The kind of board that has to be plugged in."""
        return BoardKind.HID if self in (Way.HIDRAW, Way.LIBUSB) else BoardKind(self.value)

    def url(self, node: Node, address: int | None = None) -> str:
        """Return the device URL; `address` has 8 bits and is needed where a board has several chips."""
        if self is Way.I2C:
            return f"i2c://{node.path.name.removeprefix('i2c-')}/0x{(address or 0xC0) >> 1:02x}"
        options = [] if address is None else [f"address=0x{address:02X}"]
        if self is Way.LIBUSB:  # the kernel's own device file is gone while libusb holds the device
            return f"kit-hid://{node.bus_id}?{'&'.join(['backend=libusb', *options])}"
        return f"kit-{self.kind}://{node.path}{'?' if options else ''}{'&'.join(options)}"


KIT_WAYS = (Way.HIDRAW, Way.LIBUSB, Way.CDC)
