"""Chips on an I2C bus, the vendor's transport in between: what goes wrong has its code, and addresses can be chosen."""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atcaprov import Code, TransportError, open_hal
from atcaprov.chip.commands import WAKE_TOKEN
from atcaprov.diagnosis.candidates import I2cSearch, ListedPort, list_ports
from virtual_bench.boards import BoardKind, BoardPlan
from virtual_bench.plugboard import Node, Plugboard
from virtual_bench.ways import Way

NOBODY = 65534
I2C_SLAVE, I2C_RDWR, I2C_M_RD = 0x0703, 0x0707, 0x0001
INFO, REVISION = bytes.fromhex("0730000000035d"), bytes.fromhex("07000060028038")
FACTORY_ADDRESS = 0xD6
"""An address that no part is delivered with."""


def _plugged(plugboard: Plugboard, *addresses: int) -> Node:
    plugboard.make(BoardPlan("adapter", BoardKind.I2C, addresses=addresses))
    return plugboard.plug("adapter")


def _require_code(url: str, code: Code) -> str:
    with pytest.raises(TransportError) as refused:
        open_hal(url).close()
    assert refused.value.code == code, refused.value
    assert refused.value.advice
    return str(refused.value)


def test_an_address_without_a_chip_does_not_reply(plugboard: Plugboard) -> None:
    node = _plugged(plugboard, 0xC0)
    _require_code(Way.I2C.url(node, 0xC2), Code.DEVICE_NO_REPLY)
    open_hal(Way.I2C.url(node)).close()


def test_a_bus_that_is_pulled_out_is_not_found(plugboard: Plugboard) -> None:
    url = Way.I2C.url(_plugged(plugboard, 0xC0))
    plugboard.unplug("adapter")
    _require_code(url, Code.DEVICE_NOT_FOUND)


def test_missing_permission_names_the_udev_rules(plugboard: Plugboard) -> None:
    node = _plugged(plugboard, 0xC0)
    node.path.chmod(0o600)
    os.seteuid(NOBODY)
    try:
        message = _require_code(Way.I2C.url(node), Code.DEVICE_NO_PERMISSION)
    finally:
        os.seteuid(0)
    assert "atcaprov udev-rule --install" in message


def test_a_chip_that_a_driver_of_the_kernel_holds_is_busy(plugboard: Plugboard) -> None:
    node = _plugged(plugboard, 0xC0, 0x6A)
    with _held_by_a_driver(node, 0x60):
        assert "driver" in _require_code(Way.I2C.url(node), Code.DEVICE_BUSY)
        listed = _listed(node, everywhere=True)
    assert listed.error is None
    held, free = listed.chips
    assert (held.address, held.error and held.error.code) == (0xC0, Code.DEVICE_BUSY)
    assert (free.address, free.error) == (0x6A, None)
    open_hal(Way.I2C.url(node)).close()


def test_chips_at_other_addresses_are_listed_on_demand(plugboard: Plugboard) -> None:
    node = _plugged(plugboard, 0xC0, FACTORY_ADDRESS)
    assert _addresses(_listed(node)) == [0xC0]
    for port in (_listed(node, FACTORY_ADDRESS >> 1), _listed(node, everywhere=True)):
        assert _addresses(port) == [0xC0, FACTORY_ADDRESS]
        serial_number = plugboard.serial_number("adapter", 1).hex().upper()
        assert (port.chips[1].error, port.chips[1].serial_number) == (None, serial_number)


def test_messages_of_one_transfer_read_the_reply_from_its_start(plugboard: Plugboard) -> None:
    """I2C_RDWR of i2c-dev, without a stop between its messages, as some drivers read (DS20005927A, 6.6)."""
    node = _plugged(plugboard, 0xC0)
    with node.path.open("r+b", buffering=0) as bus:
        fcntl.ioctl(bus.fileno(), I2C_SLAVE, 0)
        with pytest.raises(OSError, match=r"Errno 6\b"):  # ENXIO: no device acknowledges
            bus.write(b"\1")
        fcntl.ioctl(bus.fileno(), I2C_SLAVE, 0x60)
        assert bus.read(4) == WAKE_TOKEN
        assert bus.write(b"\x03" + INFO[:3])
        assert bus.write(b"\x03" + INFO[3:] + b"behind")
        for word_address in (b"\x03", b"\x00"):
            for count in (1, 7):
                assert _write_then_read(bus.fileno(), 0x60, word_address, count) == REVISION[:count]
        assert bus.write(b"\x01")


class _Message(ctypes.Structure):
    """struct i2c_msg (Linux include/uapi/linux/i2c.h)."""

    _fields_ = (
        ("address", ctypes.c_uint16),
        ("flags", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("data", ctypes.c_void_p),
    )


class _Transfer(ctypes.Structure):
    """struct i2c_rdwr_ioctl_data (Linux include/uapi/linux/i2c-dev.h)."""

    _fields_ = (("messages", ctypes.POINTER(_Message)), ("count", ctypes.c_uint32))


def _write_then_read(file: int, address: int, written: bytes, count: int) -> bytes:
    outgoing, incoming = ctypes.create_string_buffer(written, len(written)), ctypes.create_string_buffer(count)
    messages = (_Message * 2)(
        _Message(address, 0, len(written), ctypes.addressof(outgoing)),
        _Message(address, I2C_M_RD, count, ctypes.addressof(incoming)),
    )
    transfer = _Transfer(messages, 2)
    fcntl.ioctl(file, I2C_RDWR, transfer)
    return incoming.raw


@contextmanager
def _held_by_a_driver(node: Node, address: int) -> Iterator[None]:
    adapter = Path("/sys/bus/i2c/devices", node.path.name)
    (adapter / "new_device").write_text(f"dummy {address:#x}")
    try:
        yield
    finally:
        (adapter / "delete_device").write_text(f"{address:#x}")


def _listed(node: Node, *addresses: int, everywhere: bool = False) -> ListedPort:
    number = int(node.path.name.removeprefix("i2c-"))
    search = I2cSearch(frozenset({number}), addresses, everywhere=everywhere)
    (port,) = (port for port in list_ports(search) if port.url == f"i2c://{number}")
    return port


def _addresses(port: ListedPort) -> list[int]:
    assert port.error is None
    return [chip.address for chip in port.chips]
