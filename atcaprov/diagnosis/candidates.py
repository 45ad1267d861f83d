"""Find kits, I2C buses and the chips on them, with what is wrong with each. Only reads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from atcaprov.chip.parts import part_name
from atcaprov.config_zone.locks import locks_of_word
from atcaprov.device.read_only import open_read_only
from atcaprov.errors import AtcaProvError, Code, TransportError
from atcaprov.hal.detect import I2cAdapter, chips_on_i2c, chips_on_kit, i2c_buses
from atcaprov.hal.i2c.linux_bus import require_permission
from atcaprov.hal.kit.hid import hid_module
from atcaprov.hal.usb import CDC, HID, SCHEMES, PluggedKit, plugged_kits, require_serial_ports

_REVISION_WORD: Final = 1
_LOCK_WORD: Final = 21  # bytes 84 to 87 of the configuration zone: LockValue is byte 86, LockConfig byte 87


@dataclass(frozen=True)
class I2cSearch:
    """Where to look for chips on I2C, besides the addresses that parts are delivered with."""

    buses: frozenset[int] = frozenset()
    addresses: tuple[int, ...] = ()
    """7-bit form."""
    everywhere: bool = False


@dataclass(frozen=True)
class ListedChip:
    """One chip, or the error that prevented reading it."""

    url: str
    address: int
    """8-bit form."""
    part: str = ""
    revision: bytes = b""
    """The reply to Info, 4 bytes, which identifies the part."""
    config_revision: bytes = b""
    """Bytes 4 to 7 of the configuration zone, which may differ from it."""
    serial_number: str = ""
    config_locked: bool | None = None
    data_locked: bool | None = None
    error: AtcaProvError | None = None


@dataclass(frozen=True)
class ListedPort:
    """One kit or bus with its chips, or the error that prevented asking it."""

    url: str
    kind: str
    """`kit-hid`, `kit-cdc` or `i2c`."""
    name: str
    usb_path: str = ""
    usb_id: str = ""
    usb_serial: str = ""
    chips: tuple[ListedChip, ...] = ()
    searched: bool = True
    """False for an I2C bus that was not to be searched."""
    error: AtcaProvError | None = None


def list_ports(search: I2cSearch = I2cSearch()) -> Iterator[ListedPort]:
    """Yield the kits and I2C buses of this machine, with the chips on the kits and on the buses of `search`.

    A Python package without which a kind of kit cannot be seen is reported as a port with an error.

    Raises:
        UsageError: the user's table of USB ids is damaged.
    """
    hid, unseen = _hid_and_what_is_missing()
    yield from unseen
    for kit in plugged_kits(hid):
        yield _kit(kit, hid)
    buses = i2c_buses()
    for bus in buses:
        yield _bus(bus, search)
    for number in sorted(search.buses - {bus.number for bus in buses}):
        yield _bus(I2cAdapter(number, "", ""), search)


def _kit(kit: PluggedKit, hid: Any | None) -> ListedPort:
    chips: tuple[ListedChip, ...] = ()
    failure: AtcaProvError | None = None
    try:
        chips = tuple(
            _chip(f"{kit.url}?address=0x{entry.address:02X}", entry.address) for entry in chips_on_kit(kit, hid)
        )
    except AtcaProvError as error:
        failure = error
    return ListedPort(
        url=kit.url,
        kind=kit.url.partition(":")[0],
        name=kit.product_name or kit.kind_name,
        usb_path=kit.usb_path,
        usb_id=f"{kit.vendor:04X}:{kit.product:04X}",
        usb_serial=kit.serial,
        chips=chips,
        error=failure,
    )


def _bus(bus: I2cAdapter, search: I2cSearch) -> ListedPort:
    searched = bus.number in search.buses
    chips: list[ListedChip] = []
    failure: AtcaProvError | None = None
    try:
        if searched:
            for url, address in chips_on_i2c(bus, search.addresses, everywhere=search.everywhere):
                chips.append(_chip(url, address << 1))
        else:
            require_permission(bus.number)
    except AtcaProvError as error:
        failure = error
    return ListedPort(
        url=f"i2c://{bus.number}",
        kind="i2c",
        name=bus.name,
        usb_path=bus.usb_path,
        chips=tuple(chips),
        searched=searched,
        error=failure,
    )


def _chip(url: str, address: int) -> ListedChip:
    try:
        with open_read_only(url) as device:
            revision, serial = device.info(), device.serial_number()
            config_revision = device.read_config_word(_REVISION_WORD)
            config_locked, data_locked = locks_of_word(device.read_config_word(_LOCK_WORD))
    except AtcaProvError as error:
        return ListedChip(url, address, error=error)
    return ListedChip(
        url=url,
        address=address,
        part=part_name(revision),
        revision=revision,
        config_revision=config_revision,
        serial_number=serial.hex().upper(),
        config_locked=config_locked,
        data_locked=data_locked,
    )


def _hid_and_what_is_missing() -> tuple[Any | None, list[ListedPort]]:
    """Return hidapi's module, None without it, and a port for each kind of kit that cannot be seen."""
    hid, unseen = None, []
    try:
        hid = hid_module()
    except TransportError as error:
        unseen.append(_unseen(HID, error))
    try:
        require_serial_ports()
    except TransportError as error:
        unseen.append(_unseen(CDC, error))
    return hid, unseen


def _unseen(port: str, error: TransportError) -> ListedPort:
    if error.code != Code.LIBRARY_MISSING:
        raise error
    return ListedPort(f"{SCHEMES[port]}://", SCHEMES[port], "", error=error)
